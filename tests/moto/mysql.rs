//! `rotate-mysql`: every strategy on every MySQL and MariaDB.

use std::sync::Arc;

use lab::servers::{Flavor, MySql, Release};
use lab::sweep::{Accepts, Answer};
use rotation_tests::moto::{Case, Moto};
use serde_json::{Value, json};

const FIRST: &str = "F1rst-pa55-under-moto";

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_rotates_three_times_on_every_mysql_and_mariadb() {
    let moto = Moto::start().await.unwrap();
    let function = moto.function("rotate-mysql").await.unwrap();
    for release in MySql::releases().await.unwrap() {
        let server = MySql::shared(release).await.unwrap();
        for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
            let case = case(&server, release, strategy).await;
            let users = moto.rotates_three_times(&function, &case).await;
            let users = users.unwrap_or_else(|error| panic!("{release}, {error}"));
            let user = case.name.clone();
            let other = if strategy == "alternating-users" { format!("{user}_clone") } else { user.clone() };
            assert_eq!(users, [other.clone(), user, other], "{release}, {strategy}");
        }
    }
}

async fn case(server: &Arc<MySql>, release: Release, strategy: &'static str) -> Case {
    let Release { flavor, version: (major, minor) } = release;
    let kind = strategy.split('-').next().unwrap_or_default();
    // MySQL's longest name has 32 characters, with the other user's ending.
    let user = format!("m{major}{minor}_{}_{kind}", std::process::id());
    server.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{FIRST}'")).await.unwrap();
    let engine = if flavor == Flavor::MariaDb { "mariadb" } else { "mysql" };
    let value = |username: &str, password: &str| {
        json!({
            "engine": engine, "host": server.host(), "port": server.port(), "username": username,
            "password": password, "sslrootcert": server.ca_pem(),
        })
    };
    let admin_name = format!("admin-of-{user}");
    let mut current = value(&user, FIRST);
    if strategy != "single-user" {
        current["masterarn"] = admin_name.as_str().into();
    }
    let admin = value(server.superuser(), server.superuser_password());
    let server = Arc::clone(server);
    let accepts: Accepts = Arc::new(move |value: Value| {
        let server = Arc::clone(&server);
        Box::pin(async move {
            let text = |key: &str| value[key].as_str().unwrap();
            server.can_login(text("username"), text("password"), "").await.unwrap()
        }) as Answer<bool>
    });
    let secrets = vec![(user.clone(), vec![current]), (admin_name, vec![admin])];
    Case { name: user, strategy, secrets, accepts }
}
