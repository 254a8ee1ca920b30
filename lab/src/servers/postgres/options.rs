//! How a PostgreSQL server is to be started.

use crate::servers::Tls;

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// SCRAM-SHA-256, and passwords are stored for it.
    Scram,
    /// MD5, and passwords are stored for it.
    Md5,
    /// The password itself, in clear.
    Password,
    /// Not at all. (The superuser has to, all the same.)
    Trust,
}

/// What a server is to be like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PostgresOptions {
    pub(super) version: u32,
    pub(super) tls: Tls,
    pub(super) auth: Auth,
    pub(super) settings: Vec<(String, String)>,
    pub(super) rules: Vec<String>,
}

impl PostgresOptions {
    /// How it does TLS; `Good` unless told. Whatever this is, clients may also connect without.
    pub fn tls(mut self, tls: Tls) -> PostgresOptions {
        self.tls = tls;
        self
    }

    /// How users other than the superuser log in; `Scram` unless told.
    pub fn auth(mut self, auth: Auth) -> PostgresOptions {
        self.auth = auth;
        self
    }

    /// A setting of `postgresql.conf`.
    pub fn setting(mut self, name: &str, value: &str) -> PostgresOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of `pg_hba.conf` that comes before the usual ones, such as `hostnossl all all all reject`.
    pub fn rule(mut self, line: &str) -> PostgresOptions {
        self.rules.push(line.to_owned());
        self
    }
}
