//! The diagnose event reports the privileges that an account lacks for its strategy: before any version is made, and as
//! statements that can be run unchanged.

use lab::servers::Postgres;
use lab::world::World;
use serde_json::{Value, json};

use super::app::App;
use super::pair::{Pair, Power};

const ALLOWED: (&str, &str) = ("ALLOW_DIAGNOSE", "true");

/// The report's line about privileges. The event must not change the secret.
async fn privileges(world: &World) -> Value {
    let before = (world.values(), world.lab.secrets().version_with(&world.secret, "AWSPENDING"));
    let event = json!({"Step": "diagnose", "SecretId": world.secret, "Checks": ["privileges"]});
    let report = world.function.invoke(event).await.unwrap();
    let lines = report["Checks"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "{report}");
    let after = (world.values(), world.lab.secrets().version_with(&world.secret, "AWSPENDING"));
    assert_eq!(after, before);
    lines[0].clone()
}

/// The report's line about what the second user of a pair has of its own.
async fn second_user(world: &World) -> Value {
    let event = json!({"Step": "diagnose", "SecretId": world.secret, "Checks": ["second user"]});
    world.function.invoke(event).await.unwrap()["Checks"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_users_own_privileges_are_told_before_a_rotation_takes_them() {
    let pair = Pair::new(18, Power::Superuser).await;
    let (app, clone, server) = (&pair.app.user, pair.clone_name(), &pair.app.server);
    let world = pair.world_with(&[ALLOWED], |_| ()).await;
    world.rotate().await.unwrap();
    let line = second_user(&world).await;
    assert_eq!((&line["Verdict"], &line["Hint"]), (&json!("pass"), &Value::Null), "{line}");
    let given = format!(
        "CREATE ROLE readers_{app}; GRANT readers_{app} TO {clone}; \
         CREATE TABLE t_{app} (); GRANT SELECT ON t_{app} TO {clone}; CREATE TABLE own_{app} (); ALTER TABLE own_{app} OWNER TO {clone}"
    );
    server.execute(&given).await.unwrap();
    let line = second_user(&world).await;
    let told = line["Detail"].as_str().unwrap();
    for part in
        ["a rotation takes", &format!("member of readers_{app}"), "1 object of its own and 1 privilege"]
    {
        assert!(told.contains(part), "{part}: {line}");
    }
    assert!(line["Hint"].as_str().unwrap().contains("before the next rotation"), "{line}");
    // Two rotations later the warning of the log has come true.
    for _ in 0..2 {
        world.rotate().await.unwrap();
    }
    assert!(world.output().contains("\"level\":\"WARN\""), "{}", world.output());
    assert_eq!(second_user(&world).await["Hint"], Value::Null);
}

/// Takes a privilege away. The report must name exactly that privilege, and after its hint is run the rotation must succeed.
async fn told(pair: &Pair, world: &World, take: &str, hints: &[String]) {
    let case = format!("{take}: ");
    assert_eq!(privileges(world).await["Verdict"], "pass", "{case}");
    pair.app.server.execute(take).await.unwrap();
    let line = privileges(world).await;
    assert_eq!(line["Verdict"], "fail", "{case}{line}");
    let hint = line["Hint"].as_str().unwrap();
    let (_, statements) = hint.split_once("run: ").unwrap();
    assert_eq!(statements.split("; ").collect::<Vec<_>>(), hints, "{case}{line}");
    let error = world.rotate().await.expect_err(&case);
    assert!(error.contains("setSecret: ServerRefused:"), "{case}{error}");
    pair.app.server.execute(statements).await.unwrap();
    assert_eq!(privileges(world).await["Verdict"], "pass", "{case}");
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap_or_else(|error| panic!("{case}{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_without_createrole_is_told() {
    for version in [14, 18] {
        let pair = Pair::new(version, Power::CreateRole).await;
        let (admin, world) = (&pair.admin, pair.world_with(&[ALLOWED], |_| ()).await);
        let take = format!("ALTER ROLE {admin} NOCREATEROLE");
        told(&pair, &world, &take, &[format!("ALTER ROLE {admin} CREATEROLE")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_without_admin_option_is_told() {
    for strategy in ["admin", "alternating-users"] {
        let pair = Pair::new(16, Power::CreateRole).await;
        let (app, admin) = (&pair.app.user, &pair.admin);
        let world = pair.world_with(&[ALLOWED], |secret| secret["strategy"] = strategy.into()).await;
        let take = format!("REVOKE ADMIN OPTION FOR {app} FROM {admin}");
        told(&pair, &world, &take, &[format!("GRANT {app} TO {admin} WITH ADMIN OPTION")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_that_cannot_copy_replication_is_told() {
    for version in [14, 18] {
        let pair = Pair::new(version, Power::CreateRole).await;
        let (app, admin) = (&pair.app.user, &pair.admin);
        let world = pair.world_with(&[ALLOWED], |_| ()).await;
        let hint = match version {
            ..16 => format!("ALTER ROLE {app} NOREPLICATION"),
            _ => format!("ALTER ROLE {admin} REPLICATION"),
        };
        told(&pair, &world, &format!("ALTER ROLE {app} REPLICATION"), &[hint]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_superuser_can_act_on_a_superuser() {
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = pair.world_with(&[ALLOWED], |_| ()).await;
    let app = &pair.app.user;
    told(&pair, &world, &format!("ALTER ROLE {app} SUPERUSER"), &[format!("ALTER ROLE {app} NOSUPERUSER")])
        .await;
    let pair = Pair::new(16, Power::Superuser).await;
    pair.app.server.execute(&format!("ALTER ROLE {} SUPERUSER REPLICATION", pair.app.user)).await.unwrap();
    let world = pair.world_with(&[ALLOWED], |_| ()).await;
    assert_eq!(privileges(&world).await["Verdict"], "pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rds_restricts_passwords_the_session_needs_rds_password() {
    // This setting is RDS's own. Other servers accept it, and restrict nothing.
    for version in [14, 18] {
        let server = Postgres::version(version).setting("rds.restrict_password_commands", "on").start();
        let pair = Pair::on(server.await.unwrap().into(), Power::CreateRole).await;
        let (app, server) = (&pair.app, &pair.app.server);
        let single = app.world_with(&[ALLOWED], |_| ()).await;
        let two = pair.world_with(&[ALLOWED], |_| ()).await;
        assert_eq!(privileges(&single).await["Verdict"], "pass");
        server.execute("CREATE ROLE rds_password").await.unwrap();
        for (world, who) in [(&single, &app.user), (&two, &pair.admin)] {
            let line = privileges(world).await;
            let grant = format!("GRANT rds_password TO {who}");
            assert_eq!(line["Verdict"], "fail", "{line}");
            assert!(line["Hint"].as_str().unwrap().ends_with(&format!("run: {grant}")), "{line}");
            server.execute(&grant).await.unwrap();
            assert_eq!(privileges(world).await["Verdict"], "pass");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_that_does_not_log_in_is_told() {
    let app = App::new(16).await;
    let pair = Pair { app, admin: "nobody".into(), admin_password: "wr0ng-pa55-of-nobody".into() };
    let world = pair.world_with(&[ALLOWED], |_| ()).await;
    let line = privileges(&world).await;
    let detail = line["Detail"].as_str().unwrap();
    assert_eq!(line["Verdict"], "fail");
    assert!(detail.starts_with("CredentialRejected:") && detail.contains("prod/admin"), "{line}");
    assert!(!line.to_string().contains(&pair.admin_password));
}
