//! The options of a MySQL or MariaDB server.

use super::release::Release;
use crate::servers::Tls;

/// The options with which a server starts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MySqlOptions {
    pub(super) release: Release,
    pub(super) tls: Tls,
    pub(super) settings: Vec<(String, String)>,
    pub(super) plugins: Vec<&'static str>,
}

impl MySqlOptions {
    /// The server's TLS; `Good` by default. Clients may connect without TLS in any case.
    pub fn tls(mut self, tls: Tls) -> MySqlOptions {
        self.tls = tls;
        self
    }

    /// Sets a system variable, such as `general_log` or `require_secure_transport`.
    pub fn setting(mut self, name: &str, value: &str) -> MySqlOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a MariaDB plugin that is not built into the server, such as `auth_ed25519`.
    pub fn plugin(mut self, library: &'static str) -> MySqlOptions {
        self.plugins.push(library);
        self
    }
}
