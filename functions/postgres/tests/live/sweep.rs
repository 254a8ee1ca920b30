//! Kills the function before and after every call and message. The rotation must still finish, and a stored password must log in.

use std::io;
use std::sync::Arc;

use lab::proxy::{Protocol, Proxy};
use lab::servers::Postgres;
use lab::sweep::{self, Stage};
use serde_json::Value;

use super::app::App;

/// Where a sweep's cases run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub(crate) version: u32,
    /// Whether function and server speak TLS, which the proxy between them opens.
    pub(crate) tls: bool,
}

/// As most sweeps run.
pub(crate) const PLAIN: Ground = Ground { version: 16, tls: false };

/// As functions are deployed.
pub(crate) const OVER_TLS: Ground = Ground { version: 16, tls: true };

/// A minor from before November 2024.
pub(crate) const FORGETS_ROLES: Ground = Ground { version: 1604, tls: false };

/// A minor of November 2024.
pub(crate) const IGNORES_ROLES: Ground = Ground { version: 1701, tls: false };

impl Ground {
    /// A server for many cases at once.
    pub(crate) async fn server(self) -> io::Result<Arc<Postgres>> {
        Postgres::version(self.version).setting("max_connections", "400").shared_for(100).await
    }

    /// A proxy that can read the traffic.
    pub(crate) async fn proxy(self, server: &Postgres) -> io::Result<Arc<Proxy>> {
        let (protocol, host, port) = (Protocol::Postgres, "127.0.0.1", server.port());
        let proxy = match server.identity().filter(|_| self.tls) {
            Some(identity) => Proxy::opening_tls(protocol, host, port, identity).await,
            None => Proxy::start(protocol, host, port).await,
        };
        proxy.map(Arc::new)
    }

    /// Leads a secret through the proxy.
    pub(crate) fn lead(self, secret: &mut Value, proxy: &Proxy) {
        secret["port"] = proxy.port().into();
        secret["ssl"] = self.tls.into();
    }
}

/// A new account on a shared server, behind a proxy.
async fn stage(ground: Ground) -> io::Result<Stage> {
    let app = Arc::new(App::on(ground.server().await?).await);
    let proxy = ground.proxy(&app.server).await?;
    let world = app.world_with(&[], |secret| ground.lead(secret, &proxy)).await;
    let accepts = move |value: Value| {
        let app = Arc::clone(&app);
        Box::pin(async move { app.accepts(&value).await }) as sweep::Answer<bool>
    };
    Ok(Stage { world, proxy: Some(proxy), accepts: Arc::new(accepts), overlaps: false, epilogue: None })
}

async fn survives(ground: Ground) {
    let swept = sweep::check(&format!("single-user on {ground:?}"), move || stage(ground), 6).await;
    swept.unwrap_or_else(|failures| panic!("{failures}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn single_user_survives_a_cut_anywhere() {
    survives(PLAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_user_over_tls_survives_a_cut_anywhere() {
    survives(OVER_TLS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_user_on_an_old_minor_survives_a_cut_anywhere() {
    survives(FORGETS_ROLES).await;
    survives(IGNORES_ROLES).await;
}
