//! Settings that a role or a database's owner can make, and that once decided about a rotation.

use std::sync::Arc;

use lab::rotation::Step;
use lab::servers::Postgres;

use super::app::App;
use super::pair::{Pair, Power};

async fn app_on(version: u32, settings: &[(&str, &str)]) -> App {
    let options = settings
        .iter()
        .fold(Postgres::version(version), |options, (name, value)| options.setting(name, value));
    App::on(Arc::new(options.start().await.unwrap())).await
}

async fn stored(app: &App) -> String {
    let sql = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{}'", app.user);
    app.server
        .query(&sql)
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .flatten()
        .next()
        .expect("a password is stored")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_hashed_as_often_as_the_server_is_set_to() {
    for (setting, used) in [("20000", 20_000), ("150000", 100_000), ("4096", 4096)] {
        let app = app_on(18, &[("scram_iterations", setting)]).await;
        let world = app.world().await;
        // The first password may be hashed more often than any client accepts.
        let first =
            format!("SET scram_iterations = 5000; ALTER ROLE {} PASSWORD '{}'", app.user, super::app::FIRST);
        app.server.execute(&first).await.unwrap();
        for _ in 0..2 {
            world.rotate().await.unwrap();
            assert!(app.accepts(&world.current()).await, "{setting}");
            let stored = stored(&app).await;
            assert!(stored.starts_with(&format!("SCRAM-SHA-256${used}:")), "{setting}: {stored}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_cannot_weaken_its_own_hash() {
    let app = app_on(18, &[]).await;
    app.server.execute(&format!("ALTER ROLE {} SET scram_iterations = 1", app.user)).await.unwrap();
    let world = app.world().await;
    world.rotate().await.unwrap();
    assert!(stored(&app).await.starts_with("SCRAM-SHA-256$4096:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_hashed_too_often_is_told_as_that() {
    let app = app_on(18, &[]).await;
    let often =
        format!("SET scram_iterations = 100001; ALTER ROLE {} PASSWORD '{}'", app.user, super::app::FIRST);
    app.server.execute(&often).await.unwrap();
    let world = app.world().await;
    let error = world.rotate().await.unwrap_err();
    for part in ["ServerRefused", "more than 100,000 times", "SET scram_iterations"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_on_disk_before_setsecret_ends() {
    // The server writes its log out by itself once in ten seconds only, so what a crash would lose is there to be seen.
    let server = Arc::new(Postgres::version(18).setting("wal_writer_delay", "10s").start().await.unwrap());
    for strategy in ["single-user", "admin", "alternating-users"] {
        let pair = Pair::on(Arc::clone(&server), Power::CreateRole).await;
        for role in [&pair.app.user, &pair.admin] {
            server.execute(&format!("ALTER ROLE {role} SET synchronous_commit = off")).await.unwrap();
        }
        let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap();
        let flushed = pair.value("SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()").await;
        assert_eq!(flushed.as_deref(), Some("t"), "{strategy}: a crash would lose the new password");
    }
}
