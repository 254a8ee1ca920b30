//! The lock of a secret: where it is taken, and what a rotation says that does not get it.

use std::sync::Arc;

use lab::rotation::Step;
use lab::servers::Postgres;
use lab::world::World;

use super::app::FIRST;
use super::pair::{Pair, Power};

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_taken_in_the_secrets_own_database_whoever_acts() {
    // An advisory lock belongs to one database. A single user's function and an admin's must take the same lock.
    let pair = Pair::on(
        Arc::new(
            Postgres::version(16)
                .setting("log_statement", "all")
                .setting("log_line_prefix", "%u@%d ")
                .start()
                .await
                .unwrap(),
        ),
        Power::Superuser,
    )
    .await;
    pair.app.server.execute("CREATE DATABASE own").await.unwrap();
    let world = pair.world_with(&[], |secret| secret["dbname"] = "own".into()).await;
    world.rotate().await.unwrap();
    let log = pair.app.server.log();
    let locks: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("statement: BEGIN") && line.contains("pg_advisory_xact_lock"))
        .collect();
    assert!(locks.len() == 2 && locks.iter().all(|line| line.starts_with("postgres@own ")), "{locks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_holds_the_lock_another_waits_and_is_told_to_come_back() {
    for strategy in ["single-user", "admin", "alternating-users"] {
        let pair = Pair::new(16, Power::Superuser).await;
        let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        for step in [Step::SetSecret, Step::FinishSecret] {
            let holder = lock(&pair, &world).await;
            let error = world.step(&token, step).await.expect_err("the lock is held").to_string();
            // The superuser holds it, whom a rotation of a single user never logs in as.
            let whose = if strategy == "single-user" { "no rotation of" } else { "another rotation of" };
            let held = format!("held by process {} of user \"{}\"", holder.1, pair.app.server.superuser());
            for part in [&held, &format!("{whose} this secret")] {
                assert!(error.starts_with("Conflict:") && error.contains(part), "{strategy} {part}: {error}");
            }
            assert_eq!(world.current()["password"], FIRST, "{strategy}");
            assert!(step == Step::FinishSecret || pair.accepts(&world.current()).await, "{strategy}");
            holder.0.batch_execute("COMMIT").await.unwrap();
            world.step(&token, step).await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
        }
        assert!(pair.accepts(&world.current()).await, "{strategy}");
    }
}

/// A session of the superuser that holds the secret's lock, and its process.
async fn lock(pair: &Pair, world: &World) -> (tokio_postgres::Client, String) {
    let server = &pair.app.server;
    lock_as(server.superuser(), server.superuser_password(), pair, world).await
}

/// Somebody's session that holds the secret's lock. Its number is a contract among all functions that rotate the secret.
async fn lock_as(user: &str, password: &str, pair: &Pair, world: &World) -> (tokio_postgres::Client, String) {
    let session = pair.app.server.connect(user, password, "postgres").await.unwrap();
    let arn = world.lab.secrets().arn(&world.secret).unwrap();
    let number = format!("('x' || left(encode(sha256('{arn}'), 'hex'), 16))::bit(64)::bigint");
    session.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({number})")).await.unwrap();
    let process: i32 = session.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    (session, process.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_takes_the_lock_is_named_with_the_statement_that_ends_the_session() {
    for strategy in ["single-user", "alternating-users"] {
        let pair = Pair::new(14, Power::CreateRole).await;
        let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let stranger = format!("stranger_of_{}", pair.app.user);
        let made = format!("CREATE ROLE {stranger} LOGIN PASSWORD 'str4nger'");
        pair.app.server.execute(&made).await.unwrap();
        let (_session, process) = lock_as(&stranger, "str4nger", &pair, &world).await;
        let error = world.rotate().await.unwrap_err();
        for part in [
            "Conflict",
            &format!("held by process {process} of user \"{stranger}\""),
            "which is no rotation of this secret",
            &format!("SELECT pg_terminate_backend({process})"),
        ] {
            assert!(error.contains(part), "{strategy} {part}: {error}");
        }
        assert!(pair.accepts(&world.current()).await, "{strategy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_from_before_the_secret_got_another_strategy_is_told_from_a_stranger() {
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = pair.world().await;
    let (session, process) = lock_as(&pair.app.user, FIRST, &pair, &world).await;
    session.batch_execute("SET application_name TO turnlock").await.unwrap();
    let error = world.rotate().await.unwrap_err();
    let held = format!("held by process {process} of user \"{}\"", pair.app.user);
    for part in ["Conflict", &held, "calls itself a rotation, under another strategy or admin"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    drop(session);
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap();
}
