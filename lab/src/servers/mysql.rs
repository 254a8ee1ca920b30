//! MySQL and MariaDB servers.

mod layout;
mod options;
mod programs;
mod release;
#[cfg(feature = "mysql")]
mod session;
#[cfg(not(feature = "mysql"))]
#[path = "mysql/no_session.rs"]
mod session;

use std::fs;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Tls;
use super::running;
use super::server::Server;
use super::shared::Shared;
pub use options::MySqlOptions;
pub use release::{Flavor, Release};

impl MySqlOptions {
    /// Starts a server and waits until it takes connections.
    pub async fn start(self) -> io::Result<MySql> {
        let (release, has_tls) = (self.release, self.tls != Tls::Off);
        let server = Server::start(move || layout::prepare(&self)).await?;
        Ok(MySql { server, release, has_tls })
    }

    /// The server of these options that all tests of this process share, started by the first that asks.
    ///
    /// For default options it is the one of this release that `TURNLOCK_TEST_MYSQL_URL` or
    /// `TURNLOCK_TEST_MARIADB_URL` hands over, if there is one.
    pub async fn shared(self) -> io::Result<Arc<MySql>> {
        self.shared_for(u32::MAX).await
    }

    /// The shared server. After this many uses a new one replaces it, because leftovers of each use slow down the server's views.
    pub async fn shared_for(self, uses: u32) -> io::Result<Arc<MySql>> {
        static SHARED: Shared<MySqlOptions, MySql> = Shared::new();
        let start = async || {
            if self == MySql::release(self.release) {
                let mut running = MySql::handed_over(self.release.flavor).await?.into_iter();
                if let Some(server) = running.find(|server| server.release == self.release) {
                    return Ok(server);
                }
            }
            self.clone().start().await
        };
        SHARED.server(&self, uses, start).await
    }
}

/// A MySQL or MariaDB server. Dropping it stops it and removes its data.
pub struct MySql {
    server: Server,
    release: Release,
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "only sessions ask"))]
    has_tls: bool,
}

impl MySql {
    /// A server of this release, with TLS.
    pub fn release(release: Release) -> MySqlOptions {
        MySqlOptions { release, tls: Tls::Good, settings: Vec::new(), plugins: Vec::new() }
    }

    /// The server of this release and default options that all tests of this process share.
    pub async fn shared(release: Release) -> io::Result<Arc<MySql>> {
        MySql::release(release).shared().await
    }

    /// The releases that tests have to run on: for each flavor the servers that run already, or else all that are available here.
    pub async fn releases() -> io::Result<Vec<Release>> {
        let mut releases = Vec::new();
        for flavor in [Flavor::MySql, Flavor::MariaDb] {
            let running = MySql::handed_over(flavor).await?;
            match running.is_empty() {
                true => releases.extend(programs::releases(flavor)),
                false => releases.extend(running.iter().map(|server| server.release)),
            }
        }
        Ok(releases)
    }

    /// Whether this is MySQL or MariaDB.
    pub fn flavor(&self) -> Flavor {
        self.release.flavor
    }

    /// The general log, which has every statement when the setting `general_log` is `1`.
    pub fn general_log(&self) -> String {
        self.read("general.log")
    }

    /// The slow log, which has every statement when the setting `slow_query_log` is `1` and `long_query_time` is `0`.
    pub fn slow_log(&self) -> String {
        self.read("slow.log")
    }

    fn read(&self, name: &str) -> String {
        let log = self.server.file(name).map(|log| fs::read(log).unwrap_or_default());
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }

    /// The bytes of all binary logs, which are always written.
    pub fn binary_log(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for entry in self.server.file("data").map(fs::read_dir).transpose()?.into_iter().flatten() {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("binlog.")) {
                bytes.extend(fs::read(path)?);
            }
        }
        Ok(bytes)
    }

    async fn handed_over(flavor: Flavor) -> io::Result<Vec<MySql>> {
        let variable = match flavor {
            Flavor::MySql => "TURNLOCK_TEST_MYSQL_URL",
            Flavor::MariaDb => "TURNLOCK_TEST_MARIADB_URL",
        };
        let mut servers = Vec::new();
        for running in running::servers(variable)? {
            let has_tls = !running.ca_pem.is_empty();
            // Only the server itself says which release it is.
            let release = Release { flavor, version: (0, 0) };
            let mut server = MySql { server: Server::already_running("mysql", running), release, has_tls };
            let rows = server.query("SELECT VERSION()").await?;
            let release = rows.into_iter().flatten().flatten().next().and_then(|text| Release::parse(&text));
            server.release = release.ok_or_else(|| io::Error::other("a server without a version"))?;
            servers.push(server);
        }
        Ok(servers)
    }
}

impl Deref for MySql {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for MySql {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
