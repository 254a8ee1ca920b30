//! An admin changes no account but the secret's own.

use lab::rotation::Step;
use lab::servers::MySql;
use serde_json::json;

use super::app::{App, FIRST, account};

async fn stored(app: &App, account: &str) -> String {
    let rows = app.server.query(&format!("SHOW CREATE USER {account}")).await.expect("the account is there");
    rows[0][0].clone().expect("the server prints it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_for_victim_clone_does_not_take_over_victim() {
    for release in MySql::releases().await.unwrap() {
        let victim = App::new(release).await;
        let app = App::named(victim.server.clone(), &format!("{}_clone", victim.user), "%").await;
        let before = stored(&victim, &victim.account()).await;
        let world = app.world_as("alternating-users", |_| ()).await;
        let error = world.rotate().await.unwrap_err();
        assert!(
            error.starts_with("setSecret: NotOurs:") && error.contains("nothing proves"),
            "{release}: {error}"
        );
        assert_eq!(stored(&victim, &victim.account()).await, before);
        assert!(app.accepts(&world.current()).await);
        // The statement in the error makes the account the secret's.
        let marking = error.split("say so: ").nth(1).unwrap().split("; if it is not").next().unwrap();
        app.server.execute(marking).await.unwrap_or_else(|error| panic!("{marking}: {error}"));
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert_eq!(world.current()["username"], victim.user);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alternate_that_exists_is_ours_only_if_a_version_opens_it() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let alternate = App::named(app.server.clone(), &format!("{}_clone", app.user), "%").await;
        let before = stored(&alternate, &alternate.account()).await;
        app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await.unwrap();
        let world = app.world_as("alternating-users", |_| ()).await;
        // No version holds FIRST as this user's password. AWSCURRENT's value is for the other user.
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("setSecret: NotOurs:"), "{error}");
        assert_eq!(stored(&alternate, &alternate.account()).await, before);
        // The state that AWS's function leaves: AWSPREVIOUS is the other user's.
        world.abandon().unwrap();
        let (current, mut previous) = (world.current(), world.current());
        previous["username"] = alternate.user.as_str().into();
        for (number, value) in [(1, &previous), (2, &current)] {
            let token = format!("00000000-0000-4000-8000-00000000000{number}");
            world.put(&token, value, "AWSCURRENT").unwrap();
        }
        world.rotate().await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert_eq!(world.current()["username"], alternate.user);
        let grants = app.server.query(&format!("SHOW GRANTS FOR {}", alternate.account())).await.unwrap();
        assert!(grants.iter().flatten().flatten().any(|line| line.contains("PROCESS")), "{grants:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_another_server_is_refused_before_anything_is_tried() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world_as("admin", |secret| secret["host"] = "127.0.0.1".into()).await;
        let error = world.rotate().await.unwrap_err();
        assert!(
            error.contains("setSecret:") && error.contains("is not known to be the admin's server"),
            "{error}"
        );
        assert!(app.has(FIRST).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_host_parts_are_named_and_rotated_only_when_they_are_listed_and_proven() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let other = account(&app.user, "10.1.%");
        app.server
            .execute(&format!("CREATE USER {other} IDENTIFIED BY 'Another-pa55-0f-its-own!'"))
            .await
            .unwrap();
        let before = stored(&app, &other).await;
        let world = app.world_as("admin", |_| ()).await;
        world.rotate().await.unwrap();
        assert!(world.output().contains("10.1.%") && world.output().contains("more host parts"));
        assert_eq!(stored(&app, &other).await, before);
        // The host part is listed, but not proven.
        let mut listed = world.current();
        listed["hosts"] = json!(["%", "10.1.%"]);
        let token = "00000000-0000-4000-8000-000000000001";
        world.put(token, &listed, "AWSCURRENT").unwrap();
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("setSecret: NotOurs:") && error.contains("10.1.%"), "{error}");
        assert!(app.accepts(&world.current()).await && stored(&app, &other).await == before);
        // An admin's mark proves the host part.
        let marking = error.split("say so: ").nth(1).unwrap().split("; if it is not").next().unwrap();
        app.server.execute(marking).await.unwrap();
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap();
        assert_ne!(stored(&app, &other).await, before);
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alternate_that_lost_a_privilege_before_the_promotion_is_not_promoted() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await.unwrap();
        let world = app.world_as("alternating-users", |_| ()).await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap();
        app.server.execute(&format!("REVOKE PROCESS ON *.* FROM {}", app.clone_account())).await.unwrap();
        let error = world.step(&token, Step::TestSecret).await.unwrap_err().to_string();
        assert!(error.contains("it lacks: PROCESS on *.*"), "{error}");
        world.steps(&token).await.unwrap();
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_that_the_secret_names_are_only_given_what_they_lack() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let partner = App::new(release).await;
        for sql in [
            format!("GRANT PROCESS ON *.* TO {}", app.account()),
            format!("GRANT RELOAD ON *.* TO {}", partner.account()),
        ] {
            app.server.execute(&sql).await.unwrap();
        }
        let world = app
            .world_as("alternating-users", |secret| {
                secret["alternate_username"] = partner.user.as_str().into();
                secret["create_users"] = json!(false);
            })
            .await;
        let mut theirs = world.current();
        (theirs["username"], theirs["original_username"]) =
            (partner.user.as_str().into(), app.user.as_str().into());
        let ours = world.current();
        for (number, value) in [(1, &theirs), (2, &ours)] {
            let token = format!("00000000-0000-4000-8000-00000000000{number}");
            world.put(&token, value, "AWSCURRENT").unwrap();
        }
        for round in 0..3 {
            world.rotate().await.unwrap_or_else(|error| panic!("{release} {round}: {error}"));
            assert!(app.accepts(&world.current()).await);
        }
        let grants = app.server.query(&format!("SHOW GRANTS FOR {}", partner.account())).await.unwrap();
        let first = grants.iter().flatten().flatten().find(|line| line.contains("ON *.*")).unwrap();
        assert!(first.contains("PROCESS") && first.contains("RELOAD"), "{grants:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_every_password_is_lost_is_reset_only_where_the_deployment_allows_it() {
    const LOST: &str = "A-pa55-that-no-version-holds";
    for release in MySql::releases().await.unwrap() {
        // With two users the other one is reset: here the original, which never carries a mark.
        for (strategy, before) in [("admin", 0), ("alternating-users", 1)] {
            for (env, allowed) in [(&[][..], false), (&[("ADMIN_RESET", "true")][..], true)] {
                let app = App::new(release).await;
                let world = app.world_of(strategy, env, |_| (), |_| ()).await;
                for _ in 0..before {
                    world.rotate().await.unwrap();
                }
                let accounts = [app.account(), app.clone_account()];
                for account in &accounts[..=before] {
                    app.server
                        .execute(&format!("ALTER USER {account} IDENTIFIED BY '{LOST}'"))
                        .await
                        .unwrap();
                }
                let outcome = world.rotate().await;
                if allowed {
                    outcome.unwrap_or_else(|error| panic!("{release}, {strategy}: {error}"));
                    assert!(app.accepts(&world.current()).await && world.output().contains("ADMIN_RESET"));
                } else {
                    assert!(outcome.unwrap_err().contains("LockedOut"));
                    assert!(app.has(LOST).await);
                }
            }
        }
    }
}
