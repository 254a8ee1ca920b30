//! A pooler as the secret's host. Every strategy either rotates, or refuses before it changes anything and says what to do.

use std::sync::Arc;

use lab::rotation::Step;
use lab::servers::{PgBouncer, Pooling, Postgres};
use lab::world::World;
use serde_json::Value;

use super::app::FIRST;
use super::pair::{ADMIN_SECRET, Pair, Power};

const STRATEGIES: [&str; 3] = ["single-user", "admin", "alternating-users"];

/// An application whose secrets name the pooler.
async fn behind(pooler: &PgBouncer, pair: &Pair, strategy: &str, ssl: bool) -> World {
    let port = pooler.port();
    let through = |secret: &mut Value| {
        secret["port"] = port.into();
        if !ssl {
            secret["ssl"] = false.into();
        }
    };
    let world = pair
        .app
        .world_with(&[], |secret| {
            secret["masterarn"] = ADMIN_SECRET.into();
            secret["strategy"] = strategy.into();
            through(secret);
        })
        .await;
    pair.add_admin(&world, ADMIN_SECRET, through);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_through_a_pooler_that_asks_the_server_for_passwords_succeeds() {
    let server = Arc::new(Postgres::version(16).start().await.unwrap());
    for pooling in [Pooling::Session, Pooling::Transaction] {
        let pooler = PgBouncer::start(&server, pooling, &[]).await.unwrap();
        for strategy in STRATEGIES {
            for ssl in [true, false] {
                let pair = Pair::on(Arc::clone(&server), Power::CreateRole).await;
                let world = behind(&pooler, &pair, strategy, ssl).await;
                for _ in 0..3 {
                    let why = |error| panic!("{pooling:?} {strategy} {ssl}: {error}\n{}", pooler.log());
                    world.rotate().await.unwrap_or_else(why);
                    assert!(pair.accepts(&world.current()).await, "{pooling:?} {strategy}");
                }
                assert!(world.output().contains("stands before the server"), "{}", world.output());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_through_a_pooler_goes_on_where_the_password_is_set_already() {
    let server = Arc::new(Postgres::version(16).start().await.unwrap());
    for pooling in [Pooling::Session, Pooling::Transaction] {
        let pooler = PgBouncer::start(&server, pooling, &[]).await.unwrap();
        for strategy in STRATEGIES {
            let pair = Pair::on(Arc::clone(&server), Power::CreateRole).await;
            let world = behind(&pooler, &pair, strategy, true).await;
            let token = world.begin().unwrap();
            world.step(&token, Step::CreateSecret).await.unwrap();
            world.step(&token, Step::SetSecret).await.unwrap();
            let why = |error| panic!("{pooling:?} {strategy}: {error}\n{}", pooler.log());
            world.steps(&token).await.unwrap_or_else(why);
            assert!(pair.accepts(&world.current()).await, "{pooling:?} {strategy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_never_hears_of_the_new_password_changes_nothing() {
    let server = Arc::new(Postgres::version(16).start().await.unwrap());
    for strategy in STRATEGIES {
        let pair = Pair::on(Arc::clone(&server), Power::CreateRole).await;
        let known = [(pair.app.user.as_str(), FIRST), (pair.admin.as_str(), pair.admin_password.as_str())];
        let pooler = PgBouncer::start(&server, Pooling::Session, &known).await.unwrap();
        let world = behind(&pooler, &pair, strategy, true).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.contains("What to do: ") && error.contains("through a pooler"), "{strategy}: {error}");
        assert_eq!(world.current()["password"], FIRST, "{strategy}");
        assert!(pair.accepts(&world.current()).await, "{strategy}: {error}");
    }
}
