//! Accounts and admins that something other than a password keeps from working, and what the error says then.

use lab::servers::Postgres;
use serde_json::Value;

use super::app::{App, FIRST};
use super::pair::{ADMIN_SECRET, Pair, Power};

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_account_is_named_as_expired_where_an_admin_can_look() {
    for strategy in ["admin", "alternating-users"] {
        let pair = Pair::new(16, Power::CreateRole).await;
        let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let expire = format!("ALTER ROLE {} VALID UNTIL '2020-01-01'", pair.app.user);
        pair.app.server.execute(&expire).await.unwrap();
        let extend = format!("ALTER ROLE \"{}\" VALID UNTIL 'infinity'", pair.app.user);
        let error = world.fails(&["ServerRefused", "was valid until 2020-01-01", "28P01", &extend]).await;
        assert!(!error.contains("LockedOut"), "{error}");
        // The remedy is complete.
        pair.app.server.execute(&extend).await.unwrap();
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap();
        assert!(pair.accepts(&world.current()).await, "{strategy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_account_without_an_admin_is_told_what_else_the_refusal_can_mean() {
    let app = App::new(16).await;
    let world = app.world().await;
    app.server.execute(&format!("ALTER ROLE {} VALID UNTIL '2020-01-01'", app.user)).await.unwrap();
    world.fails(&["LockedOut", "28P01", "if the account has expired"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_that_may_not_enter_the_secrets_database_is_told_the_grant() {
    for strategy in ["admin", "alternating-users"] {
        let pair = Pair::new(16, Power::CreateRole).await;
        let (app, server) = (&pair.app.user, &pair.app.server);
        let database = format!("closed_{app}");
        server.execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        let close = format!(
            "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {app}"
        );
        server.execute(&close).await.unwrap();
        let inside = |secret: &mut Value| secret["dbname"] = database.as_str().into();
        let world = pair.app.world_with(&[], |secret| {
            secret["masterarn"] = ADMIN_SECRET.into();
            secret["strategy"] = strategy.into();
            inside(secret);
        });
        let world = world.await;
        pair.add_admin(&world, ADMIN_SECRET, inside);
        let grant = format!("GRANT CONNECT ON DATABASE \"{database}\" TO \"{}\"", pair.admin);
        world.fails(&["ServerRefused", "does not let", &database, "42501", &grant]).await;
        assert!(server.can_login(app, FIRST, &database).await.unwrap(), "{strategy}");
        server.execute(&grant).await.unwrap();
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn createrole_self_grant_leaves_the_admin_no_membership_in_the_alternate() {
    for version in Postgres::versions().await.unwrap().into_iter().filter(|version| *version >= 16) {
        let pair = Pair::new(version, Power::CreateRole).await;
        let (server, admin) = (&pair.app.server, &pair.admin);
        server
            .execute(&format!("ALTER ROLE {admin} SET createrole_self_grant = 'set, inherit'"))
            .await
            .unwrap();
        let world = pair.world().await;
        for _ in 0..2 {
            world.rotate().await.unwrap();
        }
        let held = format!(
            "SELECT count(*) FROM pg_auth_members WHERE member = '{admin}'::regrole AND (set_option OR inherit_option)"
        );
        assert_eq!(pair.value(&held).await.as_deref(), Some("0"), "PostgreSQL {version}");
    }
}
