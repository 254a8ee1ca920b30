//! `rotate-redshift` against the stand-in for Redshift, driven as Secrets Manager drives it.

mod live {
    mod alternating;
    pub(crate) mod app;
    mod databases;
    mod edits;
    mod endpoints;
    mod equality;
    mod failures;
    mod guard;
    mod leaks;
    mod many_tables;
    mod passwords;
    mod proof;
    mod single_user;
    mod sweep;
}
