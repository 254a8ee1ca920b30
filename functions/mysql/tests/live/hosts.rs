//! Accounts with more than one host part. Each is an account of its own, and has to be proven.

use lab::rotation::Step;
use lab::servers::{MySql, Release};
use serde_json::json;

use super::app::{App, FIRST, account, unique};

/// A password that no version of a secret holds.
const ANOTHERS: &str = "Another-pa55-0f-its-own!";

async fn stored(app: &App, account: &str) -> String {
    let rows = app.server.query(&format!("SHOW CREATE USER {account}")).await.expect("the account is there");
    rows[0][0].clone().expect("the server prints it")
}

/// Creates the same user with another host part and this password.
async fn also_at(app: &App, host: &str, password: &str) -> String {
    let other = account(&app.user, host);
    let made = app.server.execute(&format!("CREATE USER {other} IDENTIFIED BY '{password}'")).await;
    made.expect("it is made");
    other
}

async fn at_localhost(release: Release) -> App {
    App::named(MySql::shared(release).await.expect("a server starts"), &unique("app"), "localhost").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alternate_is_not_given_what_somebody_elses_host_part_has() {
    for release in MySql::releases().await.unwrap() {
        let app = at_localhost(release).await;
        let theirs = also_at(&app, "%", ANOTHERS).await;
        app.server.execute(&format!("GRANT PROCESS ON *.* TO {theirs}")).await.unwrap();
        let world =
            app.world_as("alternating-users", |secret| secret["hosts"] = json!(["%", "localhost"])).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("setSecret: NotOurs:") && error.contains(&app.user), "{release}: {error}");
        for host in ["%", "localhost"] {
            let clone = account(&format!("{}_clone", app.user), host);
            let made = app.server.query(&format!("SHOW GRANTS FOR {clone}")).await;
            assert!(made.is_err(), "{release}: {clone} was made: {made:?}");
        }
        // The statement in the error makes the account the secret's.
        let way = match app.is_mariadb() {
            true => format!("ALTER USER {theirs} IDENTIFIED BY '{FIRST}'"),
            false => {
                error.split("say so: ").nth(1).unwrap().split("; if it is not").next().unwrap().to_owned()
            }
        };
        app.server.execute(&way).await.unwrap_or_else(|error| panic!("{way}: {error}"));
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap_or_else(|error| panic!("{release}: {error}"));
        let clone = account(&format!("{}_clone", app.user), "%");
        let grants = app.server.query(&format!("SHOW GRANTS FOR {clone}")).await.unwrap();
        assert!(grants.iter().flatten().flatten().any(|line| line.contains("PROCESS")), "{grants:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_host_part_lacks_stops_the_promotion_whichever_it_is() {
    for release in MySql::releases().await.unwrap() {
        let app = at_localhost(release).await;
        let other = also_at(&app, "10.0.%", FIRST).await;
        app.server.execute(&format!("GRANT PROCESS ON *.* TO {other}")).await.unwrap();
        // Written by somebody who does not know how the server stores host parts.
        let hosts = json!(["LOCALHOST", "10.0.%"]);
        let world = app.world_as("alternating-users", |secret| secret["hosts"] = hosts).await;
        if !app.is_mariadb() {
            let arn = world.lab.secrets().arn(&world.secret).unwrap();
            let mark = format!("ALTER USER {other} ATTRIBUTE '{{\"turnlock\": \"{arn}\"}}'");
            app.server.execute(&mark).await.unwrap();
        }
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap_or_else(|error| panic!("{release}: {error}"));
        let clone = account(&format!("{}_clone", app.user), "10.0.%");
        app.server.execute(&format!("REVOKE PROCESS ON *.* FROM {clone}")).await.unwrap();
        let error = world.step(&token, Step::TestSecret).await.unwrap_err().to_string();
        assert!(error.contains("it lacks: PROCESS on *.*") && error.contains("10.0.%"), "{release}: {error}");
        world.steps(&token).await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_broke_off_between_two_host_parts_is_finished() {
    for release in [Release::MARIADB_10, Release::MARIADB_11] {
        let app = at_localhost(release).await;
        let other = also_at(&app, "10.0.%", FIRST).await;
        let world = app.world_as("admin", |secret| secret["hosts"] = json!(["10.0.%", "localhost"])).await;
        for is_given_up in [false, true] {
            let mut token = world.begin().unwrap();
            world.step(&token, Step::CreateSecret).await.unwrap();
            let pending = world.labelled("AWSPENDING").unwrap()["password"].as_str().unwrap().to_owned();
            app.server.execute(&format!("ALTER USER {other} IDENTIFIED BY '{pending}'")).await.unwrap();
            if is_given_up {
                world.abandon().unwrap();
                token = world.begin().unwrap();
            }
            world.steps(&token).await.unwrap_or_else(|error| panic!("{release} {is_given_up}: {error}"));
            assert!(app.accepts(&world.current()).await);
            assert_ne!(stored(&app, &other).await.find(&pending), Some(0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_host_part_is_changed_before_all_of_them_are_known_to_be_ours() {
    for release in MySql::releases().await.unwrap() {
        for strategy in ["admin", "dual-password"] {
            let app = at_localhost(release).await;
            let ours = also_at(&app, "10.0.%", FIRST).await;
            let theirs = also_at(&app, "10.1.%", ANOTHERS).await;
            let hosts = json!(["10.0.%", "10.1.%", "localhost"]);
            let world = app.world_as(strategy, |secret| secret["hosts"] = hosts).await;
            if !app.is_mariadb() {
                let arn = world.lab.secrets().arn(&world.secret).unwrap();
                let mark = format!("ALTER USER {ours} ATTRIBUTE '{{\"turnlock\": \"{arn}\"}}'");
                app.server.execute(&mark).await.unwrap();
            }
            let before = (stored(&app, &ours).await, stored(&app, &theirs).await);
            let error = world.rotate().await.unwrap_err();
            let expected = error.starts_with("setSecret: NotOurs:") && error.contains("10.1.%");
            assert!(expected, "{release} {strategy}: {error}");
            let after = (stored(&app, &ours).await, stored(&app, &theirs).await);
            assert!(before == after, "{release} {strategy}");
            assert!(app.has(FIRST).await, "{release} {strategy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_list_without_the_host_part_of_the_functions_own_login_is_refused() {
    for release in MySql::releases().await.unwrap() {
        for strategy in ["admin", "alternating-users", "dual-password"] {
            let app = at_localhost(release).await;
            let other = also_at(&app, "10.0.%", FIRST).await;
            let before = stored(&app, &other).await;
            let world = app.world_as(strategy, |secret| secret["hosts"] = json!(["10.0.%"])).await;
            let error = world.rotate().await.unwrap_err();
            let expected = error.starts_with("setSecret: BadSecret:") && error.contains("\"localhost\"");
            assert!(expected, "{release} {strategy}: {error}");
            assert!(stored(&app, &other).await == before && app.has(FIRST).await, "{release} {strategy}");
        }
        let app = at_localhost(release).await;
        let hosts = json!(["10.0.%", "localhost"]);
        let world = app.world_with(&[], |secret| secret["hosts"] = hosts).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("createSecret: BadSecret:") && error.contains("host part"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_promotion_host_parts_that_are_not_proven_stay_as_they_are() {
    // A value that was made current by hand has never been through setSecret.
    for release in MySql::releases().await.unwrap() {
        let app = at_localhost(release).await;
        let theirs = also_at(&app, "10.1.%", ANOTHERS).await;
        let before = stored(&app, &theirs).await;
        let world = app.world_as("dual-password", |secret| {
            secret["hosts"] = json!(["10.1.%", "localhost"]);
            secret["discard_old"] = json!(true);
        });
        let world = world.await;
        let token = world.lab.secrets().version_with(&world.secret, "AWSCURRENT").unwrap();
        let outcome = world.step(&token, Step::FinishSecret).await;
        assert_eq!(stored(&app, &theirs).await, before, "{release}: {outcome:?}");
        outcome.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(app.has(FIRST).await, "{release}");
    }
}
