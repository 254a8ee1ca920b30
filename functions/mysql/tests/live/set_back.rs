//! A password that the server takes and then refuses is set back, while the session that can write is still open.

use std::sync::Arc;

use lab::proxy::{Direction, Place, Point, Protocol, Proxy};
use lab::rotation::Step;
use lab::servers::{MySql, Release};
use lab::world::World;
use serde_json::Value;

use super::app::{App, FIRST};

/// What setSecret says after this statement, `{}` being the account, came between the change and pending's login. Pending logs in on
/// the conversation of this number, where the user's own login is the first and an admin's the second.
async fn disturbed(release: Release, strategy: &str, login: usize, sql: &str) -> (App, World, Proxy, String) {
    let app = App::on(MySql::shared(release).await.expect("it is there")).await;
    let server = Arc::clone(&app.server);
    let proxy = Proxy::start(Protocol::MySql, "127.0.0.1", server.port()).await.expect("it is there");
    let behind = |secret: &mut Value| {
        secret["port"] = proxy.port().into();
        secret["ssl"] = false.into();
    };
    let world = app.world_of(strategy, &[], behind, behind).await;
    let token = world.begin().expect("it is there");
    world.step(&token, Step::CreateSecret).await.expect("it is there");
    proxy.clear();
    let answer = Place { conversation: login, direction: Direction::ToServer, number: 1 };
    let mut held = proxy.hold(Point::before(answer));
    let disturb = async {
        held.reached().await;
        server.execute(&sql.replace("{}", &app.account())).await.expect("it is there");
        held.release();
    };
    let (answer, ()) = tokio::join!(world.step(&token, Step::SetSecret), disturb);
    (app, world, proxy, answer.expect_err("the server refuses pending").to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_server_takes_and_refuses_is_set_back() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        for (strategy, login) in [("single-user", 2), ("admin", 3)] {
            let sql = "ALTER USER {} IDENTIFIED BY 'Of-s0mebody-else!'";
            let (app, world, _proxy, error) = disturbed(release, strategy, login, sql).await;
            for part in ["CredentialRejected", "is set back and logs in", "1045", "rotate again"] {
                assert!(error.contains(part), "{release} {strategy}: no {part:?} in {error}");
            }
            assert_eq!(world.current()["password"], FIRST);
            assert!(app.has(FIRST).await, "{release} {strategy}: AWSCURRENT is locked out: {error}");
            let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").expect("it is there");
            world.steps(&token).await.expect("it is there");
            assert!(app.accepts(&world.current()).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_made_to_require_a_certificate_gets_its_password_back_and_the_error_says_so() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        for (strategy, login) in [("single-user", 2), ("admin", 3)] {
            let sql = "ALTER USER {} REQUIRE X509";
            let (app, _world, _proxy, error) = disturbed(release, strategy, login, sql).await;
            assert!(error.starts_with("LockedOut: setSecret: the password of version"), "{error}");
            for part in ["does not log in", "1045", "the server had taken the new password"] {
                assert!(error.contains(part), "{release} {strategy}: no {part:?} in {error}");
            }
            let sql = format!("ALTER USER {} REQUIRE NONE", app.account());
            app.server.execute(&sql).await.expect("it is there");
            assert!(app.has(FIRST).await, "{release} {strategy}");
        }
    }
}
