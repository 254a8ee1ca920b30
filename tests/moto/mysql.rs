//! `rotate-mysql`: every strategy on every MySQL and MariaDB.

use std::sync::Arc;

use lab::servers::{Flavor, MySql, Release};
use rotation_tests::moto::{Case, Moto, Place};

use crate::FIRST;

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
            let user = case.user.clone();
            let other = if strategy == "alternating-users" { format!("{user}_clone") } else { user.clone() };
            assert_eq!(users, [other.clone(), user, other], "{release}, {strategy}");
        }
    }
}

async fn case(server: &Arc<MySql>, release: Release, strategy: &'static str) -> Case {
    let Release { flavor, version: (major, minor) } = release;
    let kind = strategy.split('-').next().unwrap_or_default();
    // MySQL's longest user name has 32 characters, and the second user's name has an ending.
    let user = format!("m{major}{minor}_{}_{kind}", std::process::id());
    server.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{FIRST}'")).await.unwrap();
    let engine = if flavor == Flavor::MariaDb { "mariadb" } else { "mysql" };
    let place = Place { engine, host: server.host(), port: server.port(), ca_pem: server.ca_pem() };
    let values = vec![place.value(&user, FIRST)];
    let admin = place.value(server.superuser(), server.superuser_password());
    let server = Arc::clone(server);
    Case::new(user, strategy, values, admin, move |user, password| {
        let server = Arc::clone(&server);
        async move { server.can_login(&user, &password, "").await }
    })
}
