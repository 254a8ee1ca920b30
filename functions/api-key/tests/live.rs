//! `rotate-api-key` against services that these tests run: real HTTP servers that behave as the services' documentation says, and
//! servers that do not. The lab drives the function as Secrets Manager does.

#![expect(clippy::unwrap_used, reason = "these are the helpers of tests, and a panic is how a test fails")]

mod live {
    mod addresses;
    mod answers;
    mod attacks;
    pub(crate) mod builtin;
    mod continuity;
    pub(crate) mod dialect;
    mod edits;
    pub(crate) mod graphql_dialect;
    pub(crate) mod issuer;
    mod leaks;
    pub(crate) mod oauth;
    pub(crate) mod own_keys;
    pub(crate) mod plain_dialect;
    mod provider_files;
    mod providers;
    pub(crate) mod scene;
    mod sweep;
    mod together;
    mod trouble;
}
