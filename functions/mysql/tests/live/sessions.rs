//! Sessions at the server: when a step answers, its lock is free; and a login waits if the server has no session left.

use std::time::Duration;

use lab::proxy::{Protocol, Proxy};
use lab::rotation::Step;
use lab::servers::{MySql, Release};

use super::app::{App, FIRST};
use super::edits::lock_name;

/// Far longer than a server needs to end a session, and far shorter than a step waits for it.
const SLOW: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn when_a_step_answers_its_lock_is_free() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let proxy = Proxy::start(Protocol::MySql, app.server.host(), app.server.port()).await.unwrap();
        let world = app.world_with(&[], |secret| secret["port"] = proxy.port().into()).await;
        // The proxy delays the logout. A step that relies on the logout to free the lock would answer before that.
        proxy.delay(SLOW);
        let token = world.begin().unwrap();
        let free = format!("SELECT IS_FREE_LOCK('{}')", lock_name(&world));
        for step in Step::ALL {
            world.step(&token, step).await.unwrap();
            let rows = app.server.query(&free).await.unwrap();
            assert_eq!(rows, [[Some("1".to_owned())]], "{release}, after {}", step.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_waits_for_a_session_of_the_step_before() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world().await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        let limit = format!("ALTER USER {} WITH MAX_USER_CONNECTIONS 2", app.account());
        app.server.execute(&limit).await.unwrap();
        let predecessor = app.server.connect(&app.user, FIRST, "").await.unwrap();
        let client = app.server.connect(&app.user, FIRST, "").await.unwrap();
        let leaves = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            predecessor.disconnect().await.unwrap();
            client.disconnect().await.unwrap();
        };
        let (set, ()) = tokio::join!(world.step(&token, Step::SetSecret), leaves);
        set.unwrap_or_else(|error| panic!("{release}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_with_no_room_for_pendings_first_login_locks_nobody_out() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        let app = App::new(release).await;
        let world = app.world().await;
        let limit = format!("ALTER USER {} WITH MAX_USER_CONNECTIONS 1", app.account());
        app.server.execute(&limit).await.unwrap();
        world.fails(&["Unreachable", "is set back", "leave room"]).await;
        assert!(app.has(FIRST).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_gives_up_goes_on_at_no_server() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        let app = App::new(release).await;
        let world = app.world_with(&[], |secret| secret["test_statement"] = "SELECT SLEEP(100)".into()).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.contains("Unreachable") && error.contains("run the test statement"), "{error}");
        let left = format!("SELECT INFO FROM information_schema.PROCESSLIST WHERE USER = '{}'", app.user);
        let left = app.server.query(&left).await.unwrap();
        assert!(left.is_empty(), "{release}: {left:?}");
    }
}
