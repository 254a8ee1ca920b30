//! Statements that take too long. The server ends them before this side gives up; what this side gives up, it cancels.

use std::sync::Arc;
use std::time::Duration;

use lab::Options;
use lab::rotation::Step;
use lab::runtime::Function;
use lab::servers::{PgBouncer, Pooling, Postgres};
use lab::world::World;
use serde_json::Value;

use super::app::App;

/// A table that somebody else keeps locked, and a secret whose test statement wants to read it.
async fn blocked(app: &App) -> tokio_postgres::Client {
    let server = &app.server;
    let made = format!("CREATE TABLE of_{0} (); GRANT SELECT ON of_{0} TO {0}", app.user);
    server.execute(&made).await.unwrap();
    let somebody = server.connect(server.superuser(), server.superuser_password(), "postgres").await.unwrap();
    somebody.batch_execute(&format!("BEGIN; LOCK TABLE of_{}", app.user)).await.unwrap();
    somebody
}

fn wants_it(app: &App, secret: &mut Value) {
    secret["test_statement"] = format!("SELECT * FROM of_{}", app.user).into();
}

/// Runs the steps up to testSecret, which fails, and returns its error.
async fn fails(world: &World) -> String {
    let token = world.begin().unwrap();
    for step in [Step::CreateSecret, Step::SetSecret] {
        world.step(&token, step).await.unwrap();
    }
    world.step(&token, Step::TestSecret).await.expect_err("the table is locked").to_string()
}

/// Waits until no session of the application waits for a lock or works on a statement. A server that nobody has told works on.
async fn nothing_is_left(app: &App) {
    let sql = format!(
        "SELECT query FROM pg_stat_activity WHERE usename = '{0}' AND state = 'active' \
         UNION ALL SELECT mode FROM pg_locks WHERE relation = 'of_{0}'::regclass AND mode = 'AccessShareLock'",
        app.user
    );
    let gone = async {
        while !app.server.query(&sql).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), gone).await.expect("a statement goes on at the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_a_statement_that_waits_before_this_side_gives_up() {
    let app = App::new(16).await;
    let _somebody = blocked(&app).await;
    let world = app.world_with(&[], |secret| wants_it(&app, secret)).await;
    let error = fails(&world).await;
    assert!(error.starts_with("Conflict:") && error.contains("55P03"), "{error}");
    nothing_is_left(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_gives_up_at_its_deadline_is_cancelled() {
    for ssl in [true, false] {
        let app = App::new(16).await;
        let _somebody = blocked(&app).await;
        let mut secret = app.secret();
        wants_it(&app, &mut secret);
        secret["ssl"] = ssl.into();
        let package = "rotate-postgres";
        // Less than the server's limits.
        let function =
            Function::new(package, [Function::build(package).unwrap()]).timeout(Duration::from_secs(3));
        let world = World::of(Options::default(), function, &secret).await.unwrap();
        let error = fails(&world).await;
        assert!(error.starts_with("Unreachable:") && error.contains("time ran out"), "{error}");
        nothing_is_left(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_gives_up_behind_a_pooler_is_cancelled() {
    let app = App::on(Arc::new(Postgres::version(16).start().await.unwrap())).await;
    let _somebody = blocked(&app).await;
    let pooler = PgBouncer::start(&app.server, Pooling::Transaction, &[]).await.unwrap();
    let world = app.world_with(&[], |secret| {
        secret["port"] = pooler.port().into();
        wants_it(&app, secret);
    });
    // The pooler takes no declaration with the login, so the server has no limit for this statement.
    let error = fails(&world.await).await;
    assert!(error.starts_with("Unreachable:") && error.contains("gave up waiting"), "{error}");
    nothing_is_left(&app).await;
}
