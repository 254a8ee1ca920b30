//! Two accounts of one secret: whether they belong together, and what one of them may be given.

use lab::rotation::Step;
use lab::servers::{MySql, Release};

use super::app::{ADMINS, App, account};

async fn grants(app: &App) -> String {
    let rows = app.server.query(&format!("SHOW GRANTS FOR {}", app.account())).await.expect("they are shown");
    rows.into_iter().flatten().flatten().collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_proves_one_account_only_does_not_get_what_the_other_has() {
    for release in MySql::releases().await.unwrap() {
        let (mine, victim) = (App::new(release).await, App::new(release).await);
        mine.server.execute(&format!("GRANT PROCESS ON *.* TO {}", victim.account())).await.unwrap();
        let world = mine.world_as("alternating-users", |secret| {
            secret["original_username"] = victim.user.as_str().into();
            secret["alternate_username"] = mine.user.as_str().into();
        });
        let world = world.await;
        // The first version becomes AWSPREVIOUS, and is the one that logs in.
        let mut names_victim = world.current();
        names_victim["username"] = victim.user.as_str().into();
        names_victim["password"] = "junk".into();
        world.put("00000000-0000-4000-8000-000000000001", &names_victim, "AWSCURRENT").unwrap();
        let outcome = world.rotate().await;
        assert!(!grants(&mine).await.contains("PROCESS"), "{release}: {outcome:?}");
        assert!(world.output().contains("nothing proves its account"), "{release}: {outcome:?}");
        assert!(victim.has(super::app::FIRST).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_of_the_original_does_not_stop_an_alternate_that_lacks_nothing() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await.unwrap();
        let world = app.world_as("alternating-users", |_| ()).await;
        world.rotate().await.unwrap();
        world.rotate().await.unwrap();
        app.server
            .execute(&format!("ALTER USER {} IDENTIFIED BY 'By-hand-0f-somebody'", app.account()))
            .await
            .unwrap();
        world.rotate().await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(app.accepts(&world.current()).await, "{release}");
        assert!(world.output().contains("nothing proves its account"), "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_version_with_another_strategy_or_another_pair_changes_nobody() {
    for release in MySql::releases().await.unwrap() {
        for (strategy, field, value) in [
            ("admin", "strategy", "single-user"),
            ("dual-password", "strategy", "single-user"),
            ("alternating-users", "strategy", "admin"),
            ("alternating-users", "alternate_username", "somebody"),
        ] {
            let app = App::new(release).await;
            let world = app.world_as(strategy, |_| ()).await;
            let error = world.set_edited(field, value.into()).await.unwrap_err();
            assert!(error.starts_with("Conflict:"), "{release} {strategy} {field}: {error}");
            let admin = world.lab.secrets().value("prod/admin", "AWSCURRENT").unwrap();
            let admin: serde_json::Value = serde_json::from_str(&admin).unwrap();
            assert_eq!(admin["password"], ADMINS);
            assert!(app.accepts(&admin).await, "{release} {strategy}: the admin's own password was set");
            assert!(app.accepts(&world.current()).await, "{release} {strategy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_an_admin_has_marked_and_locked_keeps_what_it_has() {
    for release in MySql::releases().await.unwrap() {
        for sync in ["grant", "none"] {
            let (app, partner) = (App::new(release).await, App::new(release).await);
            app.server.execute(&format!("GRANT RELOAD ON *.* TO {}", partner.account())).await.unwrap();
            let world = app.world_as("alternating-users", |secret| {
                secret["alternate_username"] = partner.user.as_str().into();
                secret["sync"] = sync.into();
            });
            let world = world.await;
            let error = world.rotate().await.unwrap_err();
            let marking = error.split("say so: ").nth(1).unwrap().split("; if it is not").next().unwrap();
            for sql in [marking.to_owned(), format!("ALTER USER {} ACCOUNT LOCK", partner.account())] {
                app.server.execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
            world.step(&token, Step::SetSecret).await.unwrap_or_else(|error| panic!("{release}: {error}"));
            assert!(grants(&partner).await.contains("RELOAD"), "{release} {sync}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_that_is_shown_nobodys_privileges_is_told_so() {
    // A user who may not see others' privileges gets no rows from the views, and no error.
    let app = App::new(Release::MYSQL_9).await;
    app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await.unwrap();
    let world = app.world_as("alternating-users", |_| ()).await;
    world.rotate().await.unwrap();
    world.rotate().await.unwrap();
    let admin = world.lab.secrets().value("prod/admin", "AWSCURRENT").unwrap();
    let admin: serde_json::Value = serde_json::from_str(&admin).unwrap();
    let admin = account(admin["username"].as_str().unwrap(), "%");
    let mut sql = vec![
        format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {admin}"),
        format!("GRANT CREATE USER ON *.* TO {admin}"),
        format!("REVOKE PROCESS ON *.* FROM {}", app.account()),
    ];
    for table in ["user", "procs_priv", "proxies_priv", "role_edges", "default_roles"] {
        sql.push(format!("GRANT SELECT ON mysql.{table} TO {admin}"));
    }
    for sql in sql {
        app.server.execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let error = world.rotate().await.unwrap_err();
    assert!(error.starts_with("setSecret: ServerRefused:") && error.contains("does not show"), "{error}");
    assert!(error.contains("GRANT SELECT ON mysql.*"), "{error}");
    assert!(app.accepts(&world.current()).await);
}
