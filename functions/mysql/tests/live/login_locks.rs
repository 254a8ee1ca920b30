//! Accounts that lock themselves after refused logins, and have no admin who could read after how many.

use lab::servers::{MySql, Release};
use lab::world::World;
use serde_json::json;

use super::app::{App, FIRST};

async fn execute(app: &App, sql: &str) {
    app.server.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// An account that locks itself for a day after three refusals and has no admin, after a rotation.
async fn with_a_limit(release: Release) -> (App, World) {
    let app = App::new(release).await;
    execute(&app, &format!("ALTER USER {} FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 1", app.account()))
        .await;
    let world = app.world().await;
    world.rotate().await.expect("the first rotation succeeds");
    (app, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_without_an_admin_do_not_drive_an_account_into_its_login_lock() {
    let (app, world) = with_a_limit(Release::MYSQL_9).await;
    execute(&app, &format!("ALTER USER {} IDENTIFIED BY 'By-hand-0f-somebody'", app.account())).await;
    world.fails(&["setSecret: LockedOut:", "AWSCURRENT", "AWSPENDING", "FAILED_LOGIN_ATTEMPTS"]).await;
    // Secrets Manager tries again.
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    for _ in 0..5 {
        let error = world.steps(&token).await.unwrap_err();
        assert!(error.contains("LockedOut") && error.contains("no more was tried for this token"), "{error}");
    }
    // What the error tells a person to do works, without anybody who unlocks the account.
    let password = world.current()["password"].as_str().unwrap().to_owned();
    execute(&app, &format!("ALTER USER {} IDENTIFIED BY '{password}'", app.account())).await;
    assert!(app.accepts(&world.current()).await);
    world.abandon().unwrap();
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_without_an_admin_is_healed_by_the_second_rotation() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world().await;
        world.rotate().await.unwrap();
        execute(&app, &format!("ALTER USER {} IDENTIFIED BY '{FIRST}'", app.account())).await;
        world.fails(&["setSecret: LockedOut:", "restored backup", "remove the label AWSPENDING"]).await;
        world.abandon().unwrap();
        world.rotate().await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(app.accepts(&world.current()).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_of_all_versions_does_not_lock_an_account_without_an_admin() {
    let (app, world) = with_a_limit(Release::MYSQL_9).await;
    let current = world.current();
    let other = app.world_with(&[("ALLOW_DIAGNOSE", "true")], |secret| *secret = current.clone()).await;
    for number in 1..=4 {
        let mut value = current.clone();
        value["password"] = format!("wrong-wrong-wrong-{number}").into();
        other.put(&format!("00000000-0000-4000-8000-00000000000{number}"), &value, "AWSCURRENT").unwrap();
    }
    other.put("00000000-0000-4000-8000-000000000009", &current, "AWSCURRENT").unwrap();
    let checks = json!(["login-current", "login-previous", "login-older"]);
    let event = json!({"Step": "diagnose", "SecretId": other.secret, "Checks": checks, "AllVersions": true});
    let report = other.function.invoke(event).await.unwrap();
    assert!(report.to_string().contains("one more refusal may lock the account"), "{report}");
    assert!(app.accepts(&current).await, "{report}");
}
