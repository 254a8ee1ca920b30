//! An RDS Proxy as the secret's host. The proxy's name leads nowhere on this machine, so a login there could only fail.

use lab::rds::{Entry, Rds};
use lab::rds_proxy::{Behind, RdsProxy};
use lab::servers::MySql;
use lab::world::World;
use serde_json::Value;

use super::app::App;

const HOST: &str = "front.proxy-c0ffee1234.us-east-1.rds.amazonaws.com";
const FLEET: [Entry; 3] = [
    Entry::Instance("app", "localhost", ""),
    Entry::Proxy("front", HOST),
    Entry::Target("front", "<Type>RDS_INSTANCE</Type><RdsResourceId>app</RdsResourceId>"),
];

/// An application and its admin, both behind a proxy.
async fn behind(rds: &Rds, app: &App, strategy: &str) -> World {
    let url = rds.url();
    let there = |secret: &mut Value| secret["host"] = HOST.into();
    app.world_of(strategy, &[("AWS_ENDPOINT_URL_RDS", url.as_str())], there, there).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_host_is_an_rds_proxy_rotates_at_the_writer_behind_it() {
    for release in MySql::releases().await.unwrap() {
        for strategy in ["single-user", "admin", "dual-password"] {
            let app = App::new(release).await;
            let engine = if app.is_mariadb() { "mariadb" } else { "mysql" };
            let rds = Rds::start([engine, "aurora-mysql"], &FLEET, app.server.port()).await.unwrap();
            let world = behind(&rds, &app, strategy).await;
            let server = Behind::MySql(app.server.clone());
            let proxy = RdsProxy::start(world.lab.secrets(), &world.secret, server).await.unwrap();
            for _ in 0..2 {
                let before = world.current();
                let why = |error| panic!("{release} {strategy}: {error}");
                world.rotate().await.unwrap_or_else(why);
                let current = world.current();
                assert_eq!(current["host"], HOST);
                assert!(proxy.lets_in(&current).await.unwrap(), "{release} {strategy}");
                // The server still takes a second password, and the proxy does not.
                assert_eq!(app.accepts(&before).await, strategy == "dual-password", "{release} {strategy}");
                assert!(!proxy.lets_in(&before).await.unwrap(), "{release} {strategy}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_behind_an_rds_proxy_are_refused_before_anything_is_made() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let rds = Rds::start(["mysql", "aurora-mysql"], &FLEET, app.server.port()).await.unwrap();
        let world = behind(&rds, &app, "alternating-users").await;
        let error = world.fails(&["BadSecret", HOST, "dual-password", "single-user", "own endpoint"]).await;
        assert!(error.contains("createSecret"), "{error}");
        assert_eq!(world.values().len(), 1);
    }
}
