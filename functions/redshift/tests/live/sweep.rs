//! Kills the function before and after every call and message. The rotation must still finish, and a stored password must log in.

use std::sync::Arc;

use lab::proxy::{Protocol, Proxy};
use lab::rotation::Step;
use lab::secrets::{At, Fault, Hook, What};
use lab::servers::{Redshift, Tls};
use lab::sweep::{self, Aftermath, Answer, Case, Cut, Epilogue, Stage};
use serde_json::{Value, json};

use super::app::{ADMIN_SECRET, App};

/// A new user with some privileges, behind a proxy. There is no TLS, so the proxy can read the traffic.
async fn stage(strategy: &'static str) -> std::io::Result<Stage> {
    let app = Arc::new(App::on(Redshift::shared_for(Tls::Off, 25).await?).await);
    let u = &app.user;
    app.execute(&format!(
        "CREATE GROUP g_{u} WITH USER {u}; CREATE TABLE t_{u} (a int, b int); GRANT SELECT ON t_{u} TO {u}; GRANT UPDATE (b) ON t_{u} TO {u}"
    ))
    .await;
    let proxy = Arc::new(Proxy::start(Protocol::Postgres, "127.0.0.1", app.server.port()).await?);
    let port = proxy.port();
    let through = move |secret: &mut Value| {
        secret["port"] = port.into();
        secret["ssl"] = json!(false);
        secret["strategy"] = strategy.into();
    };
    let world = app.world_with(&[], |secret| {
        through(secret);
        secret["masterarn"] = ADMIN_SECRET.into();
    });
    let world = world.await;
    let mut admin = app.admin_secret();
    through(&mut admin);
    world.lab.secrets().create(ADMIN_SECRET, &admin.to_string()).map_err(std::io::Error::other)?;
    let epilogue = (strategy == "alternating-users").then(|| equal(Arc::clone(&app)));
    let accepts = move |value: Value| {
        let app = Arc::clone(&app);
        Box::pin(async move { app.accepts(&value).await }) as Answer<bool>
    };
    let overlaps = strategy == "alternating-users";
    Ok(Stage { world, proxy: Some(proxy), accepts: Arc::new(accepts), overlaps, epilogue })
}

/// Checks that the alternate ends with the original's privileges.
fn equal(app: Arc<App>) -> Epilogue {
    Arc::new(move || {
        let app = Arc::clone(&app);
        Box::pin(async move {
            let held = async |user: &str| {
                app.column(&format!(
                    "SELECT privilege_type FROM svv_relation_privileges WHERE identity_name = '{user}'
                     UNION ALL SELECT column_name FROM svv_column_privileges WHERE identity_name = '{user}'
                     UNION ALL SELECT groname FROM pg_group, pg_user WHERE usesysid = ANY(grolist) AND usename = '{user}'
                       AND groname NOT LIKE 'turnlock%' ORDER BY 1"
                ))
                .await
            };
            let (user, clone) = (&app.user, &app.clone_name());
            let (original, alternate) = (held(user).await, held(clone).await);
            if original != alternate {
                return Err(format!("{original:?} and {alternate:?}"));
            }
            Ok(())
        }) as Answer<Result<(), String>>
    })
}

async fn survives(strategy: &'static str) {
    // Another test covers two live tokens without a lock.
    let look = last_look(strategy).await;
    let cut = Cut::Call { step: Step::SetSecret, number: look, after: true };
    let unlocked = Case { cut, aftermath: Aftermath::Overtaken };
    let name = format!("{strategy} on Redshift's stand-in");
    let swept = sweep::check_all_but(|case| *case == unlocked, &name, move || stage(strategy), 4).await;
    swept.unwrap_or_else(|failures| panic!("{failures}"));
}

/// The number of the call, among setSecret's own, that is its last look at the labels.
async fn last_look(strategy: &'static str) -> u64 {
    let stage = stage(strategy).await.expect("a stage");
    let world = &stage.world;
    let token = world.begin().expect("a rotation begins");
    for step in [Step::CreateSecret, Step::SetSecret] {
        world.lab.clear_calls();
        world.step(&token, step).await.expect("a step without faults");
    }
    let calls = world.lab.calls();
    let look = calls.iter().rposition(|call| call.operation == "DescribeSecret").expect("it looks");
    look as u64 + 1
}

#[tokio::test(flavor = "multi_thread")]
async fn two_live_tokens_lock_nobody_out_and_the_next_rotation_mends_it() {
    // Redshift has no locks, so a whole other rotation can run between the last look and the statement. (README.md.)
    for strategy in ["single-user", "admin", "alternating-users"] {
        let look = last_look(strategy).await;
        let stage = stage(strategy).await.unwrap();
        let (world, accepts) = (&stage.world, &stage.accepts);
        let slow = world.begin().unwrap();
        world.step(&slow, Step::CreateSecret).await.unwrap();
        let (hook, mut held) = Hook::hold();
        world.lab.faults().set(vec![Fault::new(At::Call(look), What::After(hook))]);
        let slow_one = world.step(&slow, Step::SetSecret);
        let fast_one = async {
            held.reached().await.expect("the slow one comes to its last look");
            world.abandon().unwrap();
            world.rotate().await.unwrap();
            assert!(accepts(world.current()).await);
            held.release();
        };
        // The slow one overwrites the fast one's password, and then fails.
        let (outcome, ()) = tokio::join!(slow_one, fast_one);
        outcome.unwrap();
        assert!(!accepts(world.current()).await, "{strategy}: then this page of the README can be changed");
        world.step(&slow, Step::FinishSecret).await.unwrap_err();
        assert_eq!(
            sweep::violation(&world.lab.secrets(), &world.secret, accepts, false).await,
            None,
            "{strategy}"
        );
        world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
        assert!(accepts(world.current()).await, "{strategy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_user_survives_a_cut_anywhere() {
    survives("single-user").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_survives_a_cut_anywhere() {
    survives("admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_survive_a_cut_anywhere() {
    survives("alternating-users").await;
}
