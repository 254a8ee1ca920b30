//! Two passwords on one account: AWSCURRENT's password is never dropped.

use lab::rotation::Step;
use lab::servers::{MySql, Release};
use lab::world::World;
use serde_json::json;

use super::app::{App, FIRST};

/// A world in which a MySQL user changes its own passwords.
async fn self_service(app: &App) -> World {
    let grant = format!("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}", app.account());
    app.server.execute(&grant).await.expect("it is granted");
    app.world_with(&[], |secret| secret["strategy"] = "dual-password".into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_user_with_the_privilege_needs_no_admin() {
    let app = App::new(Release::MYSQL_9).await;
    let world = self_service(&app).await;
    for _ in 0..3 {
        let before = world.current();
        world.rotate().await.unwrap();
        assert!(app.accepts(&world.current()).await && app.accepts(&before).await);
    }
    assert!(!app.has(FIRST).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_privilege_and_admin_the_error_names_both_ways_out() {
    let app = App::new(Release::MYSQL_9).await;
    let world = app.world_with(&[], |secret| secret["strategy"] = "dual-password".into()).await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.starts_with("setSecret: ServerRefused:"), "{error}");
    assert!(error.contains("GRANT APPLICATION_PASSWORD_ADMIN") && error.contains("masterarn"), "{error}");
    assert!(app.has(FIRST).await);
    let app = App::new(Release::MARIADB_10).await;
    let world = app.world_with(&[], |secret| secret["strategy"] = "dual-password".into()).await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.starts_with("createSecret: BadSecret:") && error.contains("masterarn"), "{error}");
}

/// Gives up a rotation after setSecret, as an operator does by removing the label.
async fn give_up(world: &World) {
    let token = world.begin().expect("a rotation begins");
    world.step(&token, Step::CreateSecret).await.expect("createSecret works");
    world.step(&token, Step::SetSecret).await.expect("setSecret works");
    world.abandon().expect("the label goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_that_are_given_up_never_retire_what_awscurrent_holds() {
    // RETAIN keeps the primary password. After a rotation that was given up, that is not AWSCURRENT's.
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let mut worlds = vec![app.world_as("dual-password", |_| ()).await];
        if !app.is_mariadb() {
            let other = App::new(release).await;
            let world = self_service(&other).await;
            give_up(&world).await;
            give_up(&world).await;
            assert!(other.accepts(&world.current()).await);
            world.rotate().await.unwrap();
            assert!(other.accepts(&world.current()).await);
        }
        let world = worlds.remove(0);
        for round in 0..4 {
            give_up(&world).await;
            assert!(app.accepts(&world.current()).await, "{release} {round}");
            if round % 2 == 1 {
                let before = world.current();
                world.rotate().await.unwrap();
                assert!(
                    app.accepts(&world.current()).await && app.accepts(&before).await,
                    "{release} {round}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discard_old_retires_the_old_password_with_the_promotion_and_nothing_else() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world_as("dual-password", |secret| secret["discard_old"] = json!(true)).await;
        for _ in 0..2 {
            let before = world.current();
            let token = world.rotate().await.unwrap();
            assert!(app.accepts(&world.current()).await && !app.accepts(&before).await, "{release}");
            // A finishSecret that runs late, after a newer rotation has set its password.
            give_up(&world).await;
            world.step(&token, Step::FinishSecret).await.unwrap();
            assert!(app.accepts(&world.current()).await, "{release}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_history_and_required_current_passwords_are_served_or_explained() {
    for policy in ["PASSWORD HISTORY 5", "PASSWORD REUSE INTERVAL 30 DAY", "PASSWORD REQUIRE CURRENT"] {
        for with_admin in [true, false] {
            let app = App::new(Release::MYSQL_9).await;
            app.server.execute(&format!("ALTER USER {} {policy}", app.account())).await.unwrap();
            let world = match with_admin {
                true => app.world_as("dual-password", |_| ()).await,
                false => self_service(&app).await,
            };
            let rotate = async |when: &str| {
                let before = world.current();
                world.rotate().await.unwrap_or_else(|error| panic!("{policy} {with_admin} {when}: {error}"));
                assert!(app.accepts(&world.current()).await && app.accepts(&before).await, "{policy} {when}");
            };
            rotate("first").await;
            rotate("second").await;
            // Repeats a step.
            let token = world.begin().unwrap();
            for step in [Step::CreateSecret, Step::SetSecret, Step::SetSecret, Step::TestSecret] {
                world
                    .step(&token, step)
                    .await
                    .unwrap_or_else(|error| panic!("{policy} {with_admin}: {error}"));
            }
            // Either the next rotation succeeds, or its error says what to do. Nothing is lost.
            world.abandon().unwrap();
            if let Err(error) = world.rotate().await {
                assert!(
                    error.contains("ServerRefused") && error.contains("a rotation that was given up"),
                    "{error}"
                );
            }
            assert!(app.accepts(&world.current()).await, "{policy} {with_admin}");
        }
    }
}

/// Policies that refuse AWSCURRENT's password if it is set again.
const STRICTER: [(&str, &str); 2] =
    [("validate_password.length", "60"), ("validate_password.changed_characters_percentage", "50")];

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_became_stricter_stops_no_rotation_even_after_one_that_was_given_up() {
    for (variable, value) in STRICTER {
        for with_admin in [true, false] {
            for given_up in [false, true] {
                let case = format!("{variable}, admin: {with_admin}, given up: {given_up}");
                let server = MySql::release(Release::MYSQL_9).start().await.unwrap();
                let app = App::on(server.into()).await;
                let dual = |secret: &mut serde_json::Value| secret["strategy"] = "dual-password".into();
                let world = match with_admin {
                    true => app.world_of("dual-password", &LONG, |_| (), |_| ()).await,
                    false => {
                        let grant = format!("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}", app.account());
                        app.server.execute(&grant).await.unwrap();
                        app.world_with(&LONG, dual).await
                    }
                };
                if given_up {
                    give_up(&world).await;
                }
                app.server.execute("INSTALL COMPONENT 'file://component_validate_password'").await.unwrap();
                app.server.execute(&format!("SET GLOBAL {variable} = {value}")).await.unwrap();
                for round in 1..=2 {
                    let before = world.current();
                    world.rotate().await.unwrap_or_else(|error| panic!("{case}, round {round}: {error}"));
                    assert!(
                        app.accepts(&world.current()).await && app.accepts(&before).await,
                        "{case}, round {round}"
                    );
                }
            }
        }
    }
}

/// New passwords that both policies take.
const LONG: [(&str, &str); 1] = [("PASSWORD_LENGTH", "64")];

#[tokio::test(flavor = "multi_thread")]
async fn looking_for_a_newer_password_in_front_does_not_lock_the_account() {
    let app = App::new(Release::MYSQL_9).await;
    let limits = "PASSWORD HISTORY 5 FAILED_LOGIN_ATTEMPTS 2 PASSWORD_LOCK_TIME UNBOUNDED";
    app.server.execute(&format!("ALTER USER {} {limits}", app.account())).await.unwrap();
    let world = app.world_as("dual-password", |_| ()).await;
    // Only pending is newer, so one login shows that it is not primary.
    world.rotate().await.unwrap();
    for _ in 0..3 {
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.abandon().unwrap();
    }
    let outcome = world.rotate().await;
    assert!(app.accepts(&world.current()).await, "the account is locked: {outcome:?}");
    let error = outcome.unwrap_err();
    assert!(error.contains("ServerRefused") && error.contains("one more refusal may lock"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_keeps_other_authentications_and_puts_the_current_password_first() {
    let app = App::new(Release::MARIADB_10).await;
    app.server
        .execute(&format!(
            "ALTER USER {} IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('{FIRST}')",
            app.account()
        ))
        .await
        .unwrap();
    let world = app.world_as("dual-password", |_| ()).await;
    let stored = async || {
        let shown = app.server.query(&format!("SHOW CREATE USER {}", app.account())).await.unwrap();
        let shown = shown[0][0].clone().unwrap();
        let parts = shown.split("VIA ").nth(1).unwrap().split(" OR ").map(str::to_owned).collect::<Vec<_>>();
        assert!(parts.len() == 3 && parts[2] == "unix_socket", "{shown}");
        parts
    };
    let hash = async |value: serde_json::Value| {
        let sql = format!("SELECT PASSWORD('{}')", value["password"].as_str().unwrap().replace('\'', "''"));
        format!(
            "mysql_native_password USING '{}'",
            app.server.query(&sql).await.unwrap()[0][0].as_ref().unwrap()
        )
    };
    let token = world.begin().unwrap();
    let old = hash(world.current()).await;
    world.step(&token, Step::CreateSecret).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    let new = hash(world.labelled("AWSPENDING").unwrap()).await;
    assert_eq!(stored().await[..2], [old.clone(), new.clone()]);
    world.step(&token, Step::TestSecret).await.unwrap();
    world.step(&token, Step::FinishSecret).await.unwrap();
    assert_eq!(stored().await[..2], [new, old]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_user_with_several_authentications_is_refused() {
    let app = App::new(Release::MARIADB_10).await;
    app.server
        .execute(&format!(
            "ALTER USER {} IDENTIFIED VIA mysql_native_password USING PASSWORD('{FIRST}') OR mysql_native_password USING PASSWORD('x')",
            app.account()
        ))
        .await
        .unwrap();
    let world = app.world().await;
    let error = world.rotate().await.unwrap_err();
    assert!(
        error.contains("setSecret: ServerRefused:") && error.contains("several authentications"),
        "{error}"
    );
    assert!(app.has(FIRST).await);
}
