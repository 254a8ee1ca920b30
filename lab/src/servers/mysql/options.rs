//! How a MySQL or MariaDB server is to be started.

use super::release::Release;
use crate::servers::Tls;

/// What a server is to be like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MySqlOptions {
    pub(super) release: Release,
    pub(super) tls: Tls,
    pub(super) settings: Vec<(String, String)>,
    pub(super) plugins: Vec<&'static str>,
}

impl MySqlOptions {
    /// How it does TLS; `Good` unless told. Whatever this is, clients may also connect without.
    pub fn tls(mut self, tls: Tls) -> MySqlOptions {
        self.tls = tls;
        self
    }

    /// A system variable, such as `general_log` or `require_secure_transport`.
    pub fn setting(mut self, name: &str, value: &str) -> MySqlOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A plugin of MariaDB's that is not part of the server, such as `auth_ed25519`.
    pub fn plugin(mut self, library: &'static str) -> MySqlOptions {
        self.plugins.push(library);
        self
    }
}
