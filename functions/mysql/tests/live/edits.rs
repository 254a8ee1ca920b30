//! Two rotations at once, and secrets that are edited while they rotate.

use std::time::Duration;

use aws_lc_rs::digest;
use lab::rotation::Step;
use lab::secrets::{At, Fault, Hook, What};
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
    // AWS's function compares only the host and the user.
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
            assert!(error.starts_with("Conflict:") && error.contains(key), "{release} {key}: {error}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_has_lost_the_lock_promotes_nothing() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world().await;
        let token = world.begin().unwrap();
        for step in [Step::CreateSecret, Step::SetSecret, Step::TestSecret] {
            world.step(&token, step).await.unwrap();
        }
        let (name, mut admin) = (lock_name(&world), superuser(&app).await);
        world.lab.clear_calls();
        // At the second look at the labels the lock is held, and the promotion comes next.
        let (hook, mut held) = Hook::hold();
        world.lab.faults().set(vec![Fault::new(At::operation("DescribeSecret", 2), What::After(hook))]);
        let loses_it = async {
            held.reached().await.expect("the step looks again");
            let holder: Option<u64> =
                admin.query_first(format!("SELECT IS_USED_LOCK('{name}')")).await.expect("an answer");
            admin.query_drop(format!("KILL {}", holder.expect("it is held"))).await.expect("it is killed");
            held.release();
        };
        let (outcome, ()) = tokio::join!(world.step(&token, Step::FinishSecret), loses_it);
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("lock of this secret"), "{release}: {error}");
        assert_eq!(world.current()["password"], FIRST, "{release}");
        world.step(&token, Step::FinishSecret).await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(app.accepts(&world.current()).await, "{release}");
    }
}

/// The lock's name, which all functions that rotate the secret must agree on.
pub(crate) fn lock_name(world: &World) -> String {
    let arn = world.lab.secrets().arn(&world.secret).expect("an ARN");
    let hash = digest::digest(&digest::SHA256, arn.as_bytes());
    hash.as_ref()[..20].iter().fold("turnlock:".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

async fn superuser(app: &App) -> Conn {
    let server = &app.server;
    server.connect(server.superuser(), server.superuser_password(), "").await.expect("a session")
}

/// A stranger's session that holds the secret's lock.
async fn lock(app: &App, world: &World) -> Conn {
    let mut session = superuser(app).await;
    let sql = format!("SELECT GET_LOCK('{}', 0)", lock_name(world));
    let taken: Option<i64> = session.query_first(sql).await.expect("an answer");
    assert_eq!(taken, Some(1));
    session
}
