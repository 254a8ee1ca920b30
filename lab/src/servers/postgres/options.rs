//! The options of a PostgreSQL server.

use crate::servers::Tls;

/// How clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// With SCRAM-SHA-256; passwords are stored for it.
    Scram,
    /// With MD5; passwords are stored for it.
    Md5,
    /// With the password in clear text.
    Password,
    /// Without a password. (The superuser still needs its password.)
    Trust,
}

/// The options with which a server starts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PostgresOptions {
    pub(super) version: u32,
    pub(super) tls: Tls,
    pub(super) auth: Auth,
    pub(super) settings: Vec<(String, String)>,
    pub(super) rules: Vec<String>,
}

impl PostgresOptions {
    /// The server's TLS; `Good` by default. Clients may connect without TLS in any case.
    pub fn tls(mut self, tls: Tls) -> PostgresOptions {
        self.tls = tls;
        self
    }

    /// How users other than the superuser log in; `Scram` by default.
    pub fn auth(mut self, auth: Auth) -> PostgresOptions {
        self.auth = auth;
        self
    }

    /// Sets a parameter of `postgresql.conf`.
    pub fn setting(mut self, name: &str, value: &str) -> PostgresOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a line of `pg_hba.conf` before the usual ones, such as `hostnossl all all all reject`.
    pub fn rule(mut self, line: &str) -> PostgresOptions {
        self.rules.push(line.to_owned());
        self
    }
}
