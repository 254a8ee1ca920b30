//! Minors of PostgreSQL whose sessions forget the role that `ALTER ROLE ... SET role` gives them.

use std::sync::Arc;

use lab::servers::Postgres;

use super::pair::{Pair, Power};

/// 16.4, from before CVE-2024-10978 was mended.
const FORGETS: u32 = 1604;
/// 17.1, which ignores the setting at login.
const IGNORES: u32 = 1701;

async fn pair_on(version: u32) -> Pair {
    Pair::on(Arc::new(Postgres::version(version).start().await.unwrap()), Power::CreateRole).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minor_that_forgets_the_role_hands_over_what_pooled_sessions_make() {
    let pair = pair_on(FORGETS).await;
    let world = pair.world().await;
    pair.app.server.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", pair.app.user)).await.unwrap();
    world.rotate().await.unwrap();
    assert!(world.output().contains("17.2, 16.6, 15.10, 14.15"), "{}", world.output());
    // A client of a pool: the session is reset first.
    let (clone, text) = (world.current(), |key: &str| world.current()[key].as_str().unwrap().to_owned());
    let client = pair.app.server.connect(&text("username"), &text("password"), "postgres").await.unwrap();
    client.batch_execute("DISCARD ALL").await.unwrap();
    client.batch_execute("CREATE TABLE made_by_pool (x int)").await.unwrap();
    drop(client);
    world.rotate().await.unwrap();
    assert_ne!(world.current()["username"], clone["username"]);
    assert_eq!(pair.as_user(&world.current(), "SELECT count(*) FROM made_by_pool").await.unwrap(), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_pair_is_not_promoted_on_a_minor_that_forgets_the_role() {
    let pair = pair_on(FORGETS).await;
    let blue = format!("{}_blue", pair.app.user);
    let world = pair.world_with(&[], |secret| secret["alternate_username"] = blue.as_str().into()).await;
    let error = world.rotate().await.unwrap_err();
    for part in
        ["testSecret: ServerRefused", "DISCARD ALL", "17.2, 16.6, 15.10, 14.15", "\"sync\": \"exact\""]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(pair.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minor_that_ignores_the_role_is_told_to_be_updated_and_not_to_run_a_grant_that_is_there() {
    let pair = pair_on(IGNORES).await;
    let world = pair.world().await;
    let error = world.rotate().await.unwrap_err();
    for part in ["testSecret: ServerRefused", "should act as", "17.2, 16.6, 15.10, 14.15"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("GRANT"), "{error}");
    assert!(pair.accepts(&world.current()).await);
}
