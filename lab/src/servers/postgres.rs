//! PostgreSQL servers, 14 to 18.

mod binaries;
mod layout;
mod session;

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Tls;
use super::handed;
use super::server::Server;
use super::shared::Shared;
pub(super) use session::{connect, failed, rows};

/// How clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// SCRAM-SHA-256, and passwords are stored for it.
    Scram,
    /// MD5, and passwords are stored for it.
    Md5,
    /// The password itself, in clear text.
    Password,
    /// Without a password. (The superuser still needs one.)
    Trust,
}

/// The options of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PostgresOptions {
    version: u32,
    tls: Tls,
    auth: Auth,
    settings: Vec<(String, String)>,
    rules: Vec<String>,
}

impl PostgresOptions {
    /// How the server does TLS; `Good` by default. In any case clients may also connect without TLS.
    pub fn tls(mut self, tls: Tls) -> PostgresOptions {
        self.tls = tls;
        self
    }

    /// How users other than the superuser log in; `Scram` by default.
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

    /// Starts a server and waits until it takes connections.
    pub async fn start(self) -> io::Result<Postgres> {
        let server = Server::start(move || layout::prepare(&self)).await?;
        Ok(Postgres { server })
    }

    /// The server of these options that all tests of this process share, started by the first that asks.
    ///
    /// For default options it is the one that `TURNLOCK_TEST_POSTGRES_URL` hands over, if it has this version.
    pub async fn shared(self) -> io::Result<Arc<Postgres>> {
        self.shared_for(u32::MAX).await
    }

    /// The shared server, replaced by a new one after so many uses, because the leftovers of each use slow the server's views down.
    pub async fn shared_for(self, uses: u32) -> io::Result<Arc<Postgres>> {
        static SHARED: Shared<PostgresOptions, Postgres> = Shared::new();
        let start = async || {
            if self == Postgres::version(self.version) {
                let handed = Postgres::handed_over().await?;
                if let Some((_, server)) = handed.into_iter().find(|(version, _)| *version == self.version) {
                    return Ok(server);
                }
            }
            self.clone().start().await
        };
        SHARED.server(&self, uses, start).await
    }
}

/// A PostgreSQL server. Dropping it stops it and removes its data.
pub struct Postgres {
    server: Server,
}

impl Postgres {
    /// A server of this major version, with TLS and SCRAM.
    pub fn version(version: u32) -> PostgresOptions {
        PostgresOptions {
            version,
            tls: Tls::Good,
            auth: Auth::Scram,
            settings: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// The server of this version and default options that all tests of this process share.
    pub async fn shared(version: u32) -> io::Result<Arc<Postgres>> {
        Postgres::version(version).shared().await
    }

    /// The versions that tests have to run on: those of servers that run already, or else all that are available here.
    pub async fn versions() -> io::Result<Vec<u32>> {
        let handed = Postgres::handed_over().await?;
        let handed: Vec<u32> = handed.into_iter().map(|(version, _)| version).collect();
        Ok(if handed.is_empty() { binaries::versions() } else { handed })
    }

    /// The version that is available soonest here: the newest installed one, or else the newest published one.
    pub fn any() -> u32 {
        binaries::installed().into_iter().max().or(binaries::versions().into_iter().max()).unwrap_or(16)
    }

    /// Restarts the server as a replica, which follows no server and refuses every change.
    pub async fn become_replica(&mut self) -> io::Result<()> {
        let signal =
            self.server.file("data/standby.signal").ok_or_else(|| io::Error::other("not ours to stop"))?;
        std::fs::write(signal, "")?;
        self.server.restart().await
    }

    /// The servers of `TURNLOCK_TEST_POSTGRES_URL`, each with its major version.
    async fn handed_over() -> io::Result<Vec<(u32, Postgres)>> {
        let mut servers = Vec::new();
        for handed in handed::servers("TURNLOCK_TEST_POSTGRES_URL")? {
            let server = Postgres { server: Server::handed("postgres", handed) };
            let rows = server.query("SELECT current_setting('server_version_num')::int / 10000").await?;
            let version = rows.into_iter().flatten().flatten().next().and_then(|text| text.parse().ok());
            servers.push((version.ok_or_else(|| io::Error::other("a server without a version"))?, server));
        }
        Ok(servers)
    }
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
