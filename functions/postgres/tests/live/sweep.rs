//! Kills the function before and after every call and message. The rotation must still finish, and a stored password must log in.

use std::sync::Arc;

use lab::proxy::{Protocol, Proxy};
use lab::servers::Postgres;
use lab::sweep::{self, Stage};
use serde_json::json;

use super::app::App;

/// A server for many cases at once.
pub(crate) async fn server() -> std::io::Result<Arc<Postgres>> {
    Postgres::version(16).setting("max_connections", "400").shared_for(100).await
}

/// A new account on a shared server, behind a proxy that can read the traffic.
async fn stage() -> std::io::Result<Stage> {
    let app = Arc::new(App::on(server().await?).await);
    let proxy = Arc::new(Proxy::start(Protocol::Postgres, "127.0.0.1", app.server.port()).await?);
    let port = proxy.port();
    let world = app.world_with(&[], |secret| {
        secret["port"] = port.into();
        secret["ssl"] = json!(false);
    });
    let world = world.await;
    let accepts = move |value: serde_json::Value| {
        let app = Arc::clone(&app);
        Box::pin(async move { app.accepts(&value).await }) as sweep::Answer<bool>
    };
    Ok(Stage { world, proxy: Some(proxy), accepts: Arc::new(accepts), overlaps: false, epilogue: None })
}

#[tokio::test(flavor = "multi_thread")]
async fn single_user_survives_a_cut_anywhere() {
    sweep::check("single-user on PostgreSQL 16", stage, 6)
        .await
        .unwrap_or_else(|failures| panic!("{failures}"));
}
