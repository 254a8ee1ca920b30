//! Sessions at the server: when a step answers, its sessions have ended; and a login waits if the server has no session left.

use std::sync::Arc;
use std::time::Duration;

use lab::proxy::{Protocol, Proxy};
use lab::rotation::Step;

use super::app::{App, FIRST};

/// Far longer than a server needs to end a session, and far shorter than a step waits for it.
const SLOW: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn when_a_step_answers_its_sessions_are_over_at_the_server() {
    let app = App::new(16).await;
    let server = Arc::clone(&app.server);
    let proxy = Proxy::start(Protocol::Postgres, server.host(), server.port()).await.unwrap();
    for ssl in [true, false] {
        let world = app.world_with(&[], |secret| {
            secret["port"] = proxy.port().into();
            secret["ssl"] = ssl.into();
        });
        let world = world.await;
        // The proxy delays the logout. A step that does not wait for the server to end the session would answer before that.
        proxy.delay(SLOW);
        let token = world.begin().unwrap();
        for step in Step::ALL {
            world.step(&token, step).await.unwrap();
            let left = format!("SELECT pid FROM pg_stat_activity WHERE usename = '{}'", app.user);
            assert!(server.query(&left).await.unwrap().is_empty(), "after {}, ssl {ssl}", step.name());
        }
        proxy.delay(Duration::ZERO);
        app.server.execute(&format!("ALTER ROLE {} PASSWORD '{FIRST}'", app.user)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_waits_for_a_session_of_the_step_before() {
    let app = App::new(16).await;
    let world = app.world().await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    app.server.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 2", app.user)).await.unwrap();
    let predecessor = app.server.connect(&app.user, FIRST, "postgres").await.unwrap();
    let client = app.server.connect(&app.user, FIRST, "postgres").await.unwrap();
    let leaves = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop((predecessor, client));
    };
    let (set, ()) = tokio::join!(world.step(&token, Step::SetSecret), leaves);
    set.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_stays_reached_is_named_as_what_it_is() {
    let app = App::new(16).await;
    let world = app.world().await;
    app.server.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 1", app.user)).await.unwrap();
    let _client = app.server.connect(&app.user, FIRST, "postgres").await.unwrap();
    let told =
        world.fails(&["Unreachable", "no session left", "53300", "the role's own CONNECTION LIMIT"]).await;
    assert!(!told.contains("max_connections"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_with_no_room_for_pendings_first_login_locks_nobody_out() {
    let app = App::new(16).await;
    let world = app.world().await;
    app.server.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 1", app.user)).await.unwrap();
    world.fails(&["Unreachable", "is set back", "53300", "leave room for two sessions"]).await;
    assert!(app.accepts(&world.current()).await);
}
