//! PostgreSQL servers, 14 to 18.

mod binaries;
mod layout;
mod options;
mod session;

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Tls;
use super::running;
use super::server::Server;
use super::shared::Shared;
pub use options::{Auth, PostgresOptions};
pub(super) use session::{connect, failed, rows};

impl PostgresOptions {
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

    /// The shared server. After this many uses a new one replaces it, because leftovers of each use slow down the server's views.
    pub async fn shared_for(self, uses: u32) -> io::Result<Arc<Postgres>> {
        static SHARED: Shared<PostgresOptions, Postgres> = Shared::new();
        let start = async || {
            if self == Postgres::version(self.version) {
                let running = Postgres::already_running().await?;
                if let Some((_, server)) = running.into_iter().find(|(version, _)| *version == self.version) {
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
        let running = Postgres::already_running().await?;
        let running: Vec<u32> = running.into_iter().map(|(version, _)| version).collect();
        Ok(if running.is_empty() { binaries::versions() } else { running })
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
    async fn already_running() -> io::Result<Vec<(u32, Postgres)>> {
        let mut servers = Vec::new();
        for running in running::servers("TURNLOCK_TEST_POSTGRES_URL")? {
            let server = Postgres { server: Server::already_running("postgres", running) };
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
