//! The form in which a password is stored is the one that the secret's own login has shown to work, whatever a setting says; and a
//! password that the server refuses all the same is set back.

use std::sync::Arc;

use lab::proxy::{Direction, Place, Point, Protocol, Proxy};
use lab::rotation::Step;
use lab::servers::{Auth, Postgres};
use lab::world::World;
use serde_json::Value;

use super::app::{App, FIRST};
use super::pair::{Pair, Power};

/// Who sets `password_encryption`.
#[derive(Clone, Copy, Debug)]
enum By {
    Role,
    Database,
}

/// A database of the application's own, in which somebody has set `password_encryption`; returns its name.
async fn disturb(app: &App, by: By, value: &str) -> String {
    let (server, user, database) = (&app.server, &app.user, format!("db_{}", app.user));
    server.execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    let whom = match by {
        By::Role => format!("ROLE {user}"),
        By::Database => format!("DATABASE {database}"),
    };
    server.execute(&format!("ALTER {whom} SET password_encryption = '{value}'")).await.unwrap();
    database
}

/// How the server stores a user's password.
async fn stored(app: &App, user: &str) -> String {
    let sql = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'");
    let rows = app.server.query(&sql).await.unwrap();
    rows.into_iter().flatten().flatten().next().expect("a password is stored")
}

/// Rotates three times with every strategy, in a database and for a role with this setting; every password has to log in, and to be
/// stored in this form.
async fn keeps_its_form(server: Arc<Postgres>, setting: &str, form: &str, env: &[(&str, &str)]) {
    for by in [By::Role, By::Database] {
        for strategy in ["single-user", "admin", "alternating-users"] {
            let pair = Pair::on(Arc::clone(&server), Power::CreateRole).await;
            let database = disturb(&pair.app, by, setting).await;
            let world = pair.world_with(env, |secret| {
                secret["strategy"] = strategy.into();
                secret["dbname"] = database.into();
            });
            let world = world.await;
            for _ in 0..3 {
                let token = world.rotate().await;
                token.unwrap_or_else(|error| panic!("{strategy}, {setting} by {by:?}: {error}"));
                let current = world.current();
                assert!(pair.accepts(&current).await, "{strategy}, {setting} by {by:?}");
                let stored = stored(&pair.app, current["username"].as_str().unwrap()).await;
                assert!(stored.starts_with(form), "{strategy}, {setting} by {by:?}: {stored}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_encryption_of_a_role_or_database_locks_nobody_out_where_scram_is_asked() {
    let scram = "SCRAM-SHA-256$";
    for version in [14, 18] {
        keeps_its_form(Postgres::shared(version).await.unwrap(), "md5", scram, &[]).await;
    }
    // The server hashes what it is told.
    let plaintext = [("PASSWORD_FORM", "plaintext")];
    keeps_its_form(Postgres::shared(16).await.unwrap(), "md5", scram, &plaintext).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_speak_md5_keep_it_whatever_password_encryption_says() {
    let server = Postgres::version(14).auth(Auth::Md5).shared().await.unwrap();
    keeps_its_form(Arc::clone(&server), "scram-sha-256", "md5", &[]).await;
    keeps_its_form(server, "scram-sha-256", "md5", &[("PASSWORD_FORM", "plaintext")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_clear_text_is_stored_as_scram() {
    let server = Postgres::version(16).auth(Auth::Password).shared().await.unwrap();
    keeps_its_form(server, "md5", "SCRAM-SHA-256$", &[]).await;
}

/// What setSecret says after this statement of the superuser, `{}` being the user, came between the change and pending's login. Pending
/// logs in on the conversation of this number, where the user's own login is the first and an admin's the second.
async fn disturbed(strategy: &str, login: usize, sql: &str) -> (Pair, World, Proxy, String) {
    let pair = Pair::new(16, Power::CreateRole).await;
    let server = &pair.app.server;
    let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1", server.port()).await.unwrap();
    let behind = |secret: &mut Value| {
        secret["port"] = proxy.port().into();
        secret["ssl"] = false.into();
        secret["strategy"] = strategy.into();
    };
    let world = pair.app.world_with(&[], |secret| {
        behind(secret);
        secret["masterarn"] = "admin-behind-the-proxy".into();
    });
    let world = world.await;
    pair.add_admin(&world, "admin-behind-the-proxy", behind);
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    proxy.clear();
    let startup = Place { conversation: login, direction: Direction::ToServer, number: 1 };
    let mut held = proxy.hold(Point::before(startup));
    let disturb = async {
        held.reached().await;
        assert_eq!(lock_holders(&pair).await, 1, "the lock is held until pending has logged in");
        server.execute(&sql.replace("{}", &pair.app.user)).await.unwrap();
        held.release();
    };
    let (answer, ()) = tokio::join!(world.step(&token, Step::SetSecret), disturb);
    (pair, world, proxy, answer.expect_err("the server refuses pending").to_string())
}

/// How many sessions of the account or of its admin hold an advisory lock.
async fn lock_holders(pair: &Pair) -> usize {
    let sql = format!(
        "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND a.usename IN ('{}', '{}')",
        pair.app.user, pair.admin
    );
    pair.app.server.query(&sql).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_server_takes_and_refuses_is_set_back() {
    for (strategy, login) in [("single-user", 2), ("admin", 3)] {
        let (pair, world, _proxy, error) =
            disturbed(strategy, login, "ALTER ROLE {} PASSWORD 'of-somebody-else'").await;
        for part in ["CredentialRejected", "is set back and logs in", "28P01", "rotate again"] {
            assert!(error.contains(part), "{strategy}: no {part:?} in {error}");
        }
        assert_eq!(world.current()["password"], FIRST);
        assert!(pair.app.accepts(&world.current()).await, "{strategy}: AWSCURRENT is locked out: {error}");
        // What was wrong is over, and the same token goes on.
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap();
        assert!(pair.app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_cannot_be_set_back_either_is_said_first() {
    for (strategy, login) in [("single-user", 2), ("admin", 3)] {
        let (_pair, world, _proxy, error) = disturbed(strategy, login, "ALTER ROLE {} NOLOGIN").await;
        assert!(error.starts_with("LockedOut: setSecret: the password of version"), "{strategy}: {error}");
        for part in ["does not log in", "28000", "before that, the server had taken the new password"] {
            assert!(error.contains(part), "{strategy}: no {part:?} in {error}");
        }
        assert_eq!(world.current()["password"], FIRST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_at_pendings_first_login_undoes_nothing_and_the_next_try_goes_on() {
    let app = App::new(16).await;
    let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1", app.server.port()).await.unwrap();
    let world = app.world_with(&[], |secret| {
        secret["port"] = proxy.port().into();
        secret["ssl"] = false.into();
    });
    let world = world.await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    proxy.clear();
    proxy.cut(Point::before(Place { conversation: 2, direction: Direction::ToClient, number: 1 }));
    let error = world.step(&token, Step::SetSecret).await.unwrap_err().to_string();
    assert!(error.starts_with("Unreachable:"), "{error}");
    world.steps(&token).await.unwrap();
    assert!(app.accepts(&world.current()).await);
}
