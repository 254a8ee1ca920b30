//! Accounts with other authentication plugins than the server's default, and servers that check passwords themselves.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use lab::leaks;
use lab::servers::{MySql, Release};
use lab::world::World;
use serde_json::{Value, json};

use super::app::{App, FIRST, account};

const MARIADB: [Release; 2] = [Release::MARIADB_10, Release::MARIADB_11];
const PLAINTEXT: [(&str, &str); 1] = [("PASSWORD_FORM", "plaintext")];

/// An account on a MariaDB that has this plugin loaded and shows every statement in its log.
async fn with(release: Release, library: &'static str) -> App {
    let server = MySql::release(release).plugin(library).setting("general_log", "1");
    App::on(server.start().await.expect("the server starts").into()).await
}

/// The same, and the account authenticates with the plugin.
async fn by(release: Release, library: &'static str, plugin: &str) -> App {
    let app = with(release, library).await;
    let sql = format!("ALTER USER {} IDENTIFIED VIA {plugin} USING PASSWORD('{FIRST}')", app.account());
    app.server.execute(&sql).await.expect("the account gets its plugin");
    app
}

async fn world(app: &App, strategy: &str, env: &[(&str, &str)]) -> World {
    app.world_of(strategy, env, |_| (), |_| ()).await
}

/// How often a login is tried, because one may fail by chance. With ed25519 and parsec the client signs random bytes, and the
/// driver drops the last one if it is zero, once in 256 logins (README.md, "Limits"). With parsec it then panics.
const TRIES: u32 = 4;

/// Rotates once. After a refused login it tries the same token again, as the service does.
async fn rotated(world: &World) -> Result<(), String> {
    let token = world.begin().expect("a rotation begins");
    let mut outcome = world.steps(&token).await;
    for _ in 1..TRIES {
        match &outcome {
            Err(error) if error.contains("1045") => outcome = world.steps(&token).await,
            _ => break,
        }
    }
    outcome
}

/// Whether a value logs in at all.
async fn opens(app: &App, value: &Value) -> bool {
    for _ in 0..TRIES {
        if let Ok(true) = AssertUnwindSafe(app.accepts(value)).catch_unwind().await {
            return true;
        }
    }
    false
}

async fn still_has_its_first(app: &App) -> bool {
    opens(app, &json!({"username": app.user, "password": FIRST})).await
}

/// Rotates three times. After each rotation the current user must log in, with the same plugin as before.
async fn three_times(app: &App, world: &World, by: &str) {
    for round in 1..=3 {
        rotated(world).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let current = world.current();
        assert!(opens(app, &current).await, "round {round}");
        let user = current["username"].as_str().expect("a user");
        let sql = format!("SHOW CREATE USER '{user}'@'%'");
        let shown = app.server.query(&sql).await.expect("it is shown")[0][0].clone().expect("a text");
        assert!(shown.contains(&format!("IDENTIFIED {by} ")), "round {round}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ed25519_accounts_rotate_and_keep_their_plugin_and_their_logs_show_no_password() {
    for release in MARIADB {
        for strategy in ["single-user", "admin", "alternating-users"] {
            let app = by(release, "auth_ed25519", "ed25519").await;
            let world = world(&app, strategy, &[]).await;
            let made = app.server.general_log().len();
            three_times(&app, &world, "VIA ed25519 USING").await;
            let log = app.server.general_log()[made..].to_owned();
            assert!(
                log.contains("SET PASSWORD") || log.contains("ALTER USER"),
                "{release} {strategy}: {log}"
            );
            let values = world.values();
            let passwords: Vec<&str> = values.iter().filter_map(|value| value["password"].as_str()).collect();
            leaks::absent(
                &passwords,
                &[("the log", log.as_bytes()), ("the output", world.output().as_bytes())],
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ed25519_account_cannot_have_two_passwords_and_is_told_what_to_do() {
    for release in MARIADB {
        let app = by(release, "auth_ed25519", "ed25519").await;
        let world = world(&app, "dual-password", &[]).await;
        let error = rotated(&world).await.unwrap_err();
        for part in ["setSecret: ServerRefused:", "no mysql_native_password password", "IDENTIFIED VIA"] {
            assert!(error.contains(part), "{release}: no {part:?} in {error}");
        }
        assert!(still_has_its_first(&app).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_password_does_not_live_on_in_another_method_of_the_account() {
    for release in MARIADB {
        let app = with(release, "auth_ed25519").await;
        let sql = format!(
            "ALTER USER {} IDENTIFIED VIA ed25519 USING PASSWORD('{FIRST}') OR mysql_native_password USING PASSWORD('{FIRST}') OR unix_socket",
            app.account()
        );
        app.server.execute(&sql).await.unwrap();
        let world = world(&app, "dual-password", &[]).await;
        for _ in 0..2 {
            let before = world.current();
            rotated(&world).await.unwrap_or_else(|error| panic!("{release}: {error}"));
            assert!(opens(&app, &before).await && opens(&app, &world.current()).await, "{release}");
        }
        let shown = app.server.query(&format!("SHOW CREATE USER {}", app.account())).await.unwrap();
        let shown = shown[0][0].clone().unwrap();
        assert!(!shown.contains("ed25519") && shown.contains("unix_socket"), "{release}: {shown}");
        assert!(!still_has_its_first(&app).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_known_as_one_where_unix_socket_is_the_other_way_in() {
    for release in MARIADB {
        for methods in [
            "mysql_native_password USING PASSWORD('{}') OR unix_socket",
            "unix_socket OR mysql_native_password USING PASSWORD('{}')",
        ] {
            let app = App::new(release).await;
            let sql = format!("ALTER USER {} IDENTIFIED VIA {}", app.account(), methods.replace("{}", FIRST));
            app.server.execute(&sql).await.unwrap();
            let world = world(&app, "admin", &[]).await;
            let mut wrong = world.current();
            wrong["password"] = "Wr0ng-0ne".into();
            world.put("00000000-0000-4000-8000-000000000001", &wrong, "AWSCURRENT").unwrap();
            world.rotate().await.unwrap_or_else(|error| panic!("{release} {methods}: {error}"));
            assert!(app.accepts(&world.current()).await, "{release}");
        }
        // If the account has no password at all, the error still has the server's words and the reason.
        let app = App::new(release).await;
        app.server
            .execute(&format!("ALTER USER {} IDENTIFIED VIA unix_socket", app.account()))
            .await
            .unwrap();
        let error = app.world().await.rotate().await.unwrap_err();
        assert!(
            error.contains("LockedOut") && error.contains("1698") && error.contains("unix_socket"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parsec_accounts_rotate_once_the_deployment_allows_plaintext_in_statements() {
    let release = Release::MARIADB_11;
    for strategy in ["single-user", "admin", "alternating-users"] {
        let app = by(release, "auth_parsec", "parsec").await;
        let hashed = world(&app, strategy, &[]).await;
        let error = rotated(&hashed).await.unwrap_err();
        for part in ["setSecret: ServerRefused:", "parsec", "PASSWORD_FORM=plaintext"] {
            assert!(error.contains(part), "{strategy}: no {part:?} in {error}");
        }
        assert!(still_has_its_first(&app).await, "{strategy}");
        let app = by(release, "auth_parsec", "parsec").await;
        let world = world(&app, strategy, &PLAINTEXT).await;
        three_times(&app, &world, "VIA parsec USING").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_that_judges_passwords_refuses_hashes_and_takes_plaintext() {
    for release in MARIADB {
        for strategy in ["single-user", "admin", "alternating-users"] {
            let app = with(release, "simple_password_check").await;
            let hashed = world(&app, strategy, &[]).await;
            let error = hashed.rotate().await.unwrap_err();
            for part in ["setSecret: ServerRefused:", "strict-password-validation", "PASSWORD_FORM=plaintext"]
            {
                assert!(error.contains(part), "{release} {strategy}: no {part:?} in {error}");
            }
            assert!(app.has(FIRST).await, "{release} {strategy}");
            let app = with(release, "simple_password_check").await;
            let world = world(&app, strategy, &PLAINTEXT).await;
            three_times(&app, &world, "BY PASSWORD").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_passwords_on_a_mariadb_that_takes_no_hashes_are_refused_with_the_ways_out() {
    for release in MARIADB {
        for env in [&[][..], &PLAINTEXT] {
            let app = with(release, "simple_password_check").await;
            let world = world(&app, "dual-password", env).await;
            let error = world.rotate().await.unwrap_err();
            for part in ["setSecret: ServerRefused:", "strict_password_validation = OFF", "alternating-users"]
            {
                assert!(error.contains(part), "{release}: no {part:?} in {error}");
            }
            assert!(app.has(FIRST).await, "{release}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alternate_that_was_half_made_in_plaintext_is_closed_and_is_finished_by_the_next_try() {
    for release in MARIADB {
        let app = with(release, "simple_password_check").await;
        app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await.unwrap();
        let world = world(&app, "alternating-users", &PLAINTEXT).await;
        let admin = world.lab.secrets().value("prod/admin", "AWSCURRENT").unwrap();
        let admin: Value = serde_json::from_str(&admin).unwrap();
        let admin = account(admin["username"].as_str().unwrap(), "%");
        // The admin may not pass this on, so the rotation stops after the account is created.
        app.server.execute(&format!("REVOKE GRANT OPTION ON *.* FROM {admin}")).await.unwrap();
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("setSecret: ServerRefused:"), "{release}: {error}");
        let shown = app.server.query(&format!("SHOW CREATE USER {}", app.clone_account())).await.unwrap();
        assert!(shown[0][0].as_ref().unwrap().contains("ACCOUNT LOCK"), "{release}: {shown:?}");
        app.server.execute(&format!("GRANT PROCESS ON *.* TO {admin} WITH GRANT OPTION")).await.unwrap();
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(app.accepts(&world.current()).await, "{release}");
        assert_eq!(world.current()["username"], format!("{}_clone", app.user));
    }
}
