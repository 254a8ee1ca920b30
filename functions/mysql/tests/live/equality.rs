//! After `alternating-users` the two accounts differ only in name and password.

use lab::servers::{MySql, Release};
use lab::world::World;

use super::app::{App, account, unique};

/// All that a server prints about an account, without its names, its password and our mark.
async fn printed(app: &App, account: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for what in [format!("SHOW CREATE USER {account}"), format!("SHOW GRANTS FOR {account}")] {
        for row in app.server.query(&what).await.unwrap_or_else(|error| panic!("{what}: {error}")) {
            lines.push(row[0].clone().expect("the server prints it"));
        }
    }
    let mut lines: Vec<String> = lines.into_iter().map(|line| neutral(line, app)).collect();
    lines.sort();
    lines
}

fn neutral(line: String, app: &App) -> String {
    let ticked = |user: &str| format!("`{}`@`", user.replace('`', "``"));
    // MariaDB quotes the names in proxy grants differently from all others.
    let mut line = line
        .replace(&ticked(&format!("{}_clone", app.user)), "`USER`@`")
        .replace(&ticked(&app.user), "`USER`@`")
        .replace(&format!("'{}_clone'@'", app.user), "'USER'@'")
        .replace(&format!("'{}'@'", app.user), "'USER'@'");
    // The stored password: a text after AS, USING or PASSWORD.
    for word in [" AS '", " USING '", " BY PASSWORD '"] {
        if let Some(at) = line.find(word) {
            let from = at + word.len();
            let mut end = from;
            let bytes = line.as_bytes();
            while bytes[end] != b'\'' || bytes.get(end + 1) == Some(&b'\'') {
                end += if bytes[end] == b'\\' || bytes[end] == b'\'' { 2 } else { 1 };
            }
            line.replace_range(from..end, "STORED");
        }
    }
    // Our mark.
    if let Some(at) = line.find("\"turnlock\": \"") {
        let end = at + 13 + line[at + 13..].find('"').expect("the mark is quoted") + 1;
        let mut range = at..end;
        if line[..at].ends_with(", ") {
            range.start -= 2;
        } else if line[end..].starts_with(", ") {
            range.end += 2;
        }
        line.replace_range(range, "");
        line = line.replace(" ATTRIBUTE '{}'", "");
    }
    line
}

/// Checks that the accounts differ only in name and password.
async fn equal(app: &App, when: &str) {
    let (original, alternate) =
        (printed(app, &app.account()).await, printed(app, &app.clone_account()).await);
    assert!(original.len() > 1, "{original:?}");
    assert_eq!(alternate, original, "{} {when}", if app.is_mariadb() { "MariaDB" } else { "MySQL" });
}

/// An account with a grant of every kind.
async fn rich(release: Release) -> (App, String, Vec<String>) {
    let app = App::new(release).await;
    let (user, schema) = (app.account(), unique("d"));
    let mut roles = vec![unique("role"), unique("role"), unique("role")];
    roles.sort();
    let [r1, r2, r3] = [&roles[0], &roles[1], &roles[2]];
    let other = unique("other");
    let mut setup = vec![
        format!("CREATE DATABASE {schema}"),
        format!("CREATE DATABASE `{schema} TO x`"),
        format!("CREATE TABLE {schema}.t (a INT, b INT, `c d` INT)"),
        format!("CREATE TABLE {schema}.`odd ``name' TO ü` (a INT)"),
        format!("CREATE PROCEDURE {schema}.p() BEGIN END"),
        format!("CREATE FUNCTION {schema}.f() RETURNS INT DETERMINISTIC RETURN 1"),
        format!("CREATE ROLE {r1}"),
        format!("CREATE ROLE {r2}"),
        format!("CREATE ROLE {r3}"),
        format!("CREATE USER {other}"),
        format!("GRANT PROCESS, RELOAD ON *.* TO {user}"),
        format!("GRANT SELECT, INSERT ON {schema}.* TO {user} WITH GRANT OPTION"),
        format!("GRANT SELECT ON `{schema}\\_%`.* TO {user}"),
        format!("GRANT ALL ON `{schema} TO x`.* TO {user}"),
        format!("GRANT SELECT (a, `c d`), UPDATE (b) ON {schema}.t TO {user}"),
        format!("GRANT DELETE ON {schema}.t TO {user}"),
        format!("GRANT SELECT ON {schema}.`odd ``name' TO ü` TO {user} WITH GRANT OPTION"),
        format!("GRANT EXECUTE ON PROCEDURE {schema}.p TO {user}"),
        format!("GRANT EXECUTE, ALTER ROUTINE ON FUNCTION {schema}.f TO {user} WITH GRANT OPTION"),
        format!("GRANT PROXY ON {other} TO {user}"),
        format!("GRANT {r1} TO {user} WITH ADMIN OPTION"),
        format!("GRANT {r2} TO {user}"),
        format!("GRANT {r3} TO {user}"),
    ];
    if app.is_mariadb() {
        setup.extend([
            format!("SET DEFAULT ROLE {r2} FOR {user}"),
            format!(
                "ALTER USER {user} WITH MAX_QUERIES_PER_HOUR 50000 MAX_UPDATES_PER_HOUR 40000 MAX_STATEMENT_TIME 12.5 \
                 PASSWORD EXPIRE INTERVAL 90 DAY"
            ),
        ]);
    } else {
        setup.extend([
            format!("GRANT BACKUP_ADMIN ON *.* TO {user} WITH GRANT OPTION"),
            format!("GRANT AUDIT_ADMIN, ROLE_ADMIN ON *.* TO {user}"),
            format!("GRANT SELECT ON *.* TO {user}"),
            format!("REVOKE SELECT ON mysql.* FROM {user}"),
            format!("ALTER USER {user} DEFAULT ROLE {r1}, {r2}"),
            format!(
                "ALTER USER {user} WITH MAX_QUERIES_PER_HOUR 50000 MAX_USER_CONNECTIONS 70 PASSWORD EXPIRE INTERVAL 90 DAY \
                 PASSWORD HISTORY 4 PASSWORD REUSE INTERVAL 30 DAY PASSWORD REQUIRE CURRENT OPTIONAL \
                 FAILED_LOGIN_ATTEMPTS 5 PASSWORD_LOCK_TIME UNBOUNDED"
            ),
            format!("ALTER USER {user} ATTRIBUTE '{{\"team\": \"it''s \\\\\"web\\\\\"\", \"n\": [1, 2]}}'"),
            format!("ALTER USER {user} COMMENT 'belongs to nobody'"),
        ]);
    }
    run(&app, &setup).await;
    (app, schema, roles)
}

async fn run(app: &App, statements: &[String]) {
    for sql in statements {
        app.server.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

async fn server_for(release: Release) {
    let server = MySql::shared(release).await.expect("a server starts");
    if release.flavor == lab::servers::Flavor::MySql {
        server.execute("SET GLOBAL partial_revokes = ON").await.expect("it is set");
    }
}

/// Lets the admin pass these roles on. On MariaDB this needs the admin option on them.
async fn pass_on(app: &App, world: &World, roles: &[String]) {
    if !app.is_mariadb() {
        return;
    }
    let admin = world.lab.secrets().value("prod/admin", "AWSCURRENT").expect("an admin with a name");
    let admin: serde_json::Value = serde_json::from_str(&admin).expect("an admin with a name");
    let admin = account(admin["username"].as_str().expect("an admin with a name"), "%");
    let grants = roles.iter().map(|role| format!("GRANT {role} TO {admin} WITH ADMIN OPTION"));
    run(app, &grants.collect::<Vec<_>>()).await;
}

/// Changes to the original between two rotations, and grants to the alternate alone.
fn changes(app: &App, schema: &str, roles: &[String]) -> Vec<String> {
    let (user, clone, r1, r3) = (app.account(), app.clone_account(), &roles[0], &roles[2]);
    let mut changes = vec![
        format!("GRANT UPDATE ON {schema}.* TO {user}"),
        format!("REVOKE INSERT ON {schema}.* FROM {user}"),
        format!("REVOKE GRANT OPTION ON {schema}.* FROM {user}"),
        format!("REVOKE SELECT (a) ON {schema}.t FROM {user}"),
        format!("REVOKE EXECUTE ON PROCEDURE {schema}.p FROM {user}"),
        format!("REVOKE ALL ON `{schema} TO x`.* FROM {user}"),
        format!("GRANT SELECT ON `{schema} TO x`.* TO {user}"),
        format!("REVOKE {r1} FROM {user}"),
        format!("GRANT {r1} TO {user}"),
        format!("REVOKE {r3} FROM {user}"),
        format!(
            "ALTER USER {user} WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 9000 PASSWORD EXPIRE NEVER"
        ),
        // Grants to the alternate alone.
        format!("GRANT DROP ON {schema}.* TO {clone}"),
        format!("GRANT SUPER ON *.* TO {clone} WITH GRANT OPTION"),
    ];
    if app.is_mariadb() {
        changes.push(format!("SET DEFAULT ROLE NONE FOR {user}"));
    } else {
        changes.extend([
            format!("ALTER USER {user} DEFAULT ROLE NONE"),
            format!("REVOKE BACKUP_ADMIN ON *.* FROM {user}"),
            format!("GRANT SELECT ON mysql.* TO {user}"),
            format!("REVOKE INSERT, SELECT ON *.* FROM {user}"),
            format!("ALTER USER {user} ATTRIBUTE '{{\"team\": null, \"new\": true}}' "),
            format!(
                "ALTER USER {user} PASSWORD HISTORY DEFAULT FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0"
            ),
        ]);
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alternate_is_equal_after_creation_after_changes_and_after_revokes() {
    for release in MySql::releases().await.unwrap() {
        server_for(release).await;
        let (app, schema, roles) = rich(release).await;
        let original = printed(&app, &app.account()).await;
        let world = app.world_as("alternating-users", |_| ()).await;
        pass_on(&app, &world, &roles).await;
        let rotate = async |when: &str| {
            world
                .rotate()
                .await
                .unwrap_or_else(|error| panic!("{release} {when}: {error}\n{}", world.output()));
        };
        rotate("creation").await;
        equal(&app, "after creation").await;
        assert_eq!(printed(&app, &app.account()).await, original, "the original is not touched");
        rotate("the way back").await;
        assert_eq!(
            printed(&app, &app.account()).await,
            original,
            "only the password of the original changes"
        );

        run(&app, &changes(&app, &schema, &roles)).await;
        rotate("changes").await;
        equal(&app, "after changes").await;
        assert!(world.output().contains("what the account has beyond the original is taken away"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_tls_requirement_is_copied() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world_as("alternating-users", |_| ()).await;
        world.rotate().await.unwrap();
        for requirement in [
            "SSL",
            "NONE",
            "X509",
            "SUBJECT '/CN=it''s \\\\ me' AND ISSUER '/O=x y' AND CIPHER 'TLS_AES_256_GCM_SHA384'",
            "CIPHER 'TLS_AES_128_GCM_SHA256'",
        ] {
            let clone = app.clone_account();
            app.server.execute(&format!("ALTER USER {} REQUIRE {requirement}", app.account())).await.unwrap();
            // The original's turn: its requirement may refuse us. After that the alternate is made equal to it.
            if !["SSL", "NONE"].contains(&requirement) {
                app.server.execute(&format!("ALTER USER {} REQUIRE NONE", app.account())).await.unwrap();
            }
            world.rotate().await.unwrap_or_else(|error| panic!("{release} {requirement}: {error}"));
            world.rotate().await.unwrap_or_else(|error| panic!("{release} {requirement}: {error}"));
            equal(&app, requirement).await;
            let shown = app.server.query(&format!("SHOW CREATE USER {clone}")).await.unwrap();
            assert_eq!(shown[0][0].as_ref().unwrap().contains("REQUIRE SSL"), requirement == "SSL");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_users_are_not_changed() {
    for release in MySql::releases().await.unwrap() {
        let server = MySql::release(release).setting("general_log", "1").start().await.unwrap();
        let app = App::on(server.into()).await;
        run(&app, &[format!("GRANT SELECT ON *.* TO {}", app.account())]).await;
        let world = app.world_as("alternating-users", |_| ()).await;
        for _ in 0..2 {
            world.rotate().await.unwrap();
        }
        let before = app.server.general_log().len();
        world.rotate().await.unwrap();
        let log = app.server.general_log()[before..].to_owned();
        let statements: Vec<&str> = log
            .lines()
            .filter(|line| {
                ["ALTER ", "GRANT ", "REVOKE ", "CREATE USER", "DROP "].iter().any(|word| line.contains(word))
            })
            .filter(|line| !line.contains("SHOW "))
            .collect();
        assert_eq!(statements.len(), 1, "only the password is set: {statements:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_on_something_that_is_gone_is_passed_over() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let (user, schema) = (app.account(), unique("d"));
        let setup = [
            format!("CREATE DATABASE {schema}"),
            format!("CREATE TABLE {schema}.gone (a INT, b INT)"),
            format!("CREATE TABLE {schema}.kept (a INT, b INT)"),
            format!("GRANT SELECT, DELETE ON {schema}.gone TO {user}"),
            format!("GRANT SELECT (a, b), INSERT ON {schema}.kept TO {user}"),
            format!("DROP TABLE {schema}.gone"),
            format!("ALTER TABLE {schema}.kept DROP COLUMN b"),
        ];
        run(&app, &setup).await;
        let world = app.world_as("alternating-users", |_| ()).await;
        world.rotate().await.unwrap_or_else(|error| panic!("{release}: {error}"));
        let grants = app.server.query(&format!("SHOW GRANTS FOR {}", app.clone_account())).await.unwrap();
        let kept = grants.iter().flatten().flatten().find(|line| line.contains("`kept`")).unwrap();
        assert!(kept.contains("SELECT (`a`)") && kept.contains("INSERT"), "{grants:?}");
        assert!(world.output().contains("a grant on something that is gone"));
    }
}
