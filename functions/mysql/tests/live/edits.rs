//! Two rotations at once, and secrets that are edited while they rotate.

use std::time::Duration;

use aws_lc_rs::digest;
use lab::rotation::Step;
use lab::servers::{MySql, Release};
use lab::world::World;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::app::{App, FIRST};

#[tokio::test(flavor = "multi_thread")]
async fn edits_between_the_steps_send_no_password_anywhere_else() {
    // AWS's function compares the host and the user only.
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        for (key, value) in [
            ("port", json!(1)),
            ("dbname", json!("other")),
            ("host", json!("127.0.0.1")),
            ("username", json!("root")),
            ("ssl", json!(false)),
            ("engine", json!(if app.is_mariadb() { "mysql" } else { "mariadb" })),
        ] {
            let error = app.world().await.set_edited(key, value).await.unwrap_err();
            assert!(error.starts_with("BadSecret:") && error.contains(key), "{release} {key}: {error}");
            assert!(app.has(FIRST).await, "{release} {key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_previous_version_for_another_host_is_never_sent_there() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = app.world_with(&[], |secret| {
            secret["host"] = "127.0.0.1".into();
            secret["port"] = elsewhere.local_addr().unwrap().port().into();
        });
        let world = world.await;
        let mut current = app.secret();
        current["password"] = "a password that is wrong".into();
        let token = "00000000-0000-4000-8000-000000000001";
        world.put(token, &current, "AWSCURRENT").unwrap();
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("setSecret: LockedOut:"), "{release}: {error}");
        let knocked = tokio::time::timeout(Duration::ZERO, elsewhere.accept()).await;
        assert!(knocked.is_err(), "{release}: the old host was contacted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_overtaken_changes_nothing() {
    for release in MySql::releases().await.unwrap() {
        for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
            let app = App::new(release).await;
            let world = app.world_as(strategy, |_| ()).await;
            let overtaken = world.refuses_when_overtaken().await;
            overtaken.unwrap_or_else(|error| panic!("{release} {strategy}: {error}"));
            assert!(app.accepts(&world.current()).await, "{release} {strategy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_holds_the_lock_another_waits_and_is_told_to_come_back() {
    let mut running = JoinSet::new();
    for release in MySql::releases().await.unwrap() {
        for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
            running.spawn(respects_the_lock(release, strategy));
        }
    }
    running.join_all().await;
}

async fn respects_the_lock(release: Release, strategy: &'static str) {
    let app = App::new(release).await;
    let world = app.world_as(strategy, |_| ()).await;
    let token = world.begin().expect("a rotation begins");
    world.step(&token, Step::CreateSecret).await.expect("createSecret works");
    for step in [Step::SetSecret, Step::FinishSecret] {
        let mut holder = lock(&app, &world).await;
        let error = world.step(&token, step).await.expect_err("the lock is held").to_string();
        let expected = error.starts_with("Conflict:") && error.contains("another rotation of this secret");
        assert!(expected, "{release} {strategy} {}: {error}", step.name());
        assert!(
            step == Step::FinishSecret || app.has(FIRST).await,
            "{release} {strategy}: nothing was changed"
        );
        assert_eq!(world.current()["password"], FIRST, "{release} {strategy}");
        holder.query_drop("DO RELEASE_ALL_LOCKS()").await.expect("it is let go");
        world.step(&token, step).await.unwrap_or_else(|error| panic!("{release} {strategy}: {error}"));
    }
    assert!(app.accepts(&world.current()).await, "{release} {strategy}");
}

/// Somebody else's session that holds the secret's lock. Its name is a contract among all functions that rotate the secret.
async fn lock(app: &App, world: &World) -> Conn {
    let hash =
        digest::digest(&digest::SHA256, world.lab.secrets().arn(&world.secret).expect("an ARN").as_bytes());
    let name: String = hash.as_ref()[..20].iter().map(|byte| format!("{byte:02x}")).collect();
    let server = &app.server;
    let mut session =
        server.connect(server.superuser(), server.superuser_password(), "").await.expect("a session");
    let taken: Option<i64> =
        session.query_first(format!("SELECT GET_LOCK('turnlock:{name}', 0)")).await.expect("an answer");
    assert_eq!(taken, Some(1));
    session
}
