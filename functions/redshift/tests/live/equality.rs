//! After every rotation the alternate has exactly the original's rights, whatever was granted and revoked in between.

use std::collections::BTreeSet;

use super::app::{App, FIRST};

/// A user's rights in a database as the views show them, without the user's own name. The queries are not the function's: they
/// read whole rows of whole views.
async fn profile(app: &App, database: &str, user: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (view, column) in [
        ("svv_relation_privileges", "identity_name"),
        ("svv_column_privileges", "identity_name"),
        ("svv_schema_privileges", "identity_name"),
        ("svv_database_privileges", "identity_name"),
        ("svv_function_privileges", "identity_name"),
        ("svv_language_privileges", "identity_name"),
        ("svv_ml_model_privileges", "identity_name"),
        ("svv_datashare_privileges", "identity_name"),
        ("svv_iam_privileges", "identity_name"),
        ("svv_user_grants", "user_name"),
        ("svv_default_privileges", "grantee_name"),
        ("svv_default_privileges", "owner_name"),
        ("svv_user_info", "user_name"),
        ("pg_user", "usename"),
        ("svv_rls_attached_policy", "grantee"),
    ] {
        let sql = format!(
            "SELECT x FROM (SELECT v::text AS x, {column} AS who FROM {view} v) y WHERE who = '{user}'"
        );
        for row in app.server.query_in(database, &sql).await.unwrap_or_else(|error| panic!("{error}")) {
            lines.insert(format!("{view} {column}:,{}", row[0].clone().unwrap_or_default()));
        }
    }
    let shown = app.server.query_in(database, &format!("SHOW GRANTS FOR {user}")).await;
    for row in shown.unwrap_or_else(|error| panic!("{error}")) {
        let columns: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        lines.insert(format!("SHOW GRANTS:,{}", columns.join(",")));
    }
    let sql =
        format!("SELECT groname FROM pg_group, pg_user WHERE usesysid = ANY(grolist) AND usename = '{user}'");
    for group in app.column(&sql).await {
        lines.insert(format!("group:,{group}"));
    }
    let id = &app.column(&format!("SELECT usesysid FROM pg_user WHERE usename = '{user}'")).await[0];
    // Replaces the user's own name and number where they fill a whole column.
    let neutral = |part: &str| match part.trim_matches(['(', ')', '{', '}', '"', '\\', ' ']) {
        column if column == user => "USER".to_owned(),
        column if column == id => "ID".to_owned(),
        column => column.to_owned(),
    };
    let neutral_line = |line: String| {
        let (what, row) = line.split_once(',').unwrap_or((&line, ""));
        let mut columns: Vec<String> = row.split(',').map(neutral).collect();
        if what.starts_with("pg_user") {
            // Settings come in the order in which they were made.
            columns.sort();
        }
        format!("{what},{}", columns.join(","))
    };
    lines.into_iter().map(neutral_line).collect()
}

/// Compares the two users. It leaves out the intended differences: the secret's mark, and the original's rights on objects that
/// the alternate makes.
async fn assert_equal(app: &App, databases: &[&str], when: &str) {
    let (original, alternate) = (app.user.as_str(), app.clone_name());
    for database in databases {
        let of = async |user: &str, other: &str| {
            let mut lines = profile(app, database, user).await;
            let on_purpose = |line: &String| {
                line.starts_with("group:,turnlock_")
                    || line.starts_with("svv_default_privileges") && line.contains(&format!(",{other},"))
            };
            lines.retain(|line| !on_purpose(line));
            lines
        };
        let (wanted, held) = (of(original, &alternate).await, of(&alternate, original).await);
        let missing: Vec<_> = wanted.difference(&held).collect();
        let beyond: Vec<_> = held.difference(&wanted).collect();
        assert!(
            missing.is_empty() && beyond.is_empty(),
            "{when}, {database}: missing {missing:#?}, beyond {beyond:#?}"
        );
        assert!(wanted.len() > 20, "{wanted:#?}");
    }
}

/// Gives one user something of every kind, in two databases.
async fn everything(app: &App) -> String {
    let u = &app.user;
    let second = format!("db_{u}");
    app.execute(&format!("CREATE DATABASE {second}")).await;
    app.execute(&format!(
        "CREATE USER owner_{u} PASSWORD '{FIRST}'; CREATE GROUP g1_{u} WITH USER {u}; CREATE GROUP g2_{u};
         CREATE ROLE r1_{u}; CREATE ROLE r2_{u}; CREATE ROLE r3_{u};
         GRANT ROLE r1_{u} TO {u}; GRANT ROLE r2_{u} TO {u} WITH ADMIN OPTION;
         GRANT CREATE, TEMP ON DATABASE {second} TO {u}; GRANT TEMP ON DATABASE dev TO {u} WITH GRANT OPTION;
         GRANT SHARE ON DATASHARE share_{u} TO {u}; GRANT USAGE ON DATABASE shared_{u} TO {u};
         GRANT ASSUMEROLE ON 'arn:aws:iam::000000000000:role/{u}' TO {u} FOR COPY, UNLOAD, EXTERNAL FUNCTION, CREATE MODEL;
         ALTER USER {u} CREATEDB CONNECTION LIMIT 12 SYSLOG ACCESS UNRESTRICTED SESSION TIMEOUT 600;
         ALTER USER {u} SET search_path TO '$user', s_{u}, public; ALTER USER {u} SET query_group TO 'it''s \\\\ big';
         ALTER USER {u} PASSWORD '{FIRST}' VALID UNTIL '2098-12-31 23:59'"
    ))
    .await;
    for database in ["dev", &second] {
        let sql = format!(
            "CREATE SCHEMA s_{u}; CREATE EXTERNAL SCHEMA e_{u} FROM DATA CATALOG DATABASE 'd' IAM_ROLE default;
             CREATE TABLE s_{u}.t1 (a int, b int, c int); CREATE TABLE s_{u}.t2 (a int); CREATE VIEW s_{u}.v AS SELECT 1 AS x;
             CREATE FUNCTION s_{u}.f(int, varchar) RETURNS int STABLE AS $$ SELECT $1 $$ LANGUAGE sql;
             CREATE PROCEDURE s_{u}.p(a int) AS $$ BEGIN NULL; END $$ LANGUAGE plpgsql;
             GRANT USAGE, CREATE ON SCHEMA s_{u} TO {u}; GRANT USAGE ON SCHEMA e_{u} TO {u} WITH GRANT OPTION;
             GRANT ALTER ON SCHEMA s_{u} TO {u}; GRANT SELECT, INSERT FOR TABLES IN SCHEMA s_{u} TO {u};
             GRANT EXECUTE FOR FUNCTIONS IN DATABASE {database} TO {u};
             GRANT SELECT, DROP, ALTER, TRUNCATE, REFERENCES ON s_{u}.t2 TO {u}; GRANT INSERT, UPDATE, DELETE ON s_{u}.t2 TO {u} WITH GRANT OPTION;
             GRANT SELECT ON s_{u}.v TO {u} WITH GRANT OPTION; GRANT SELECT (a, b) ON s_{u}.t1 TO {u}; GRANT UPDATE (c) ON s_{u}.t1 TO {u};
             GRANT EXECUTE ON FUNCTION s_{u}.f(int, varchar) TO {u} WITH GRANT OPTION; GRANT EXECUTE ON PROCEDURE s_{u}.p(int) TO {u};
             GRANT USAGE ON LANGUAGE plpgsql TO {u}; GRANT EXECUTE ON MODEL s_{u}.m TO {u};
             ALTER DEFAULT PRIVILEGES FOR USER owner_{u} IN SCHEMA s_{u} GRANT SELECT, DROP ON TABLES TO {u};
             ALTER DEFAULT PRIVILEGES FOR USER owner_{u} GRANT EXECUTE ON FUNCTIONS TO {u} WITH GRANT OPTION;
             ALTER DEFAULT PRIVILEGES FOR USER owner_{u} GRANT EXECUTE ON PROCEDURES TO {u};
             ALTER DEFAULT PRIVILEGES FOR USER {u} GRANT SELECT ON TABLES TO GROUP g1_{u}, ROLE r1_{u}, owner_{u} WITH GRANT OPTION;
             ALTER DEFAULT PRIVILEGES FOR USER {u} IN SCHEMA s_{u} GRANT INSERT ON TABLES TO PUBLIC"
        );
        app.server.execute_in(database, &sql).await.unwrap_or_else(|error| panic!("{error}"));
        // Names that need quotes and differ by case.
        let odd = format!(
            "SET enable_case_sensitive_identifier TO true; CREATE SCHEMA \"S {u}\"; CREATE TABLE \"S {u}\".\"T;\"\"'\" (\"A\" int, \"b c\" int);
             GRANT USAGE ON SCHEMA \"S {u}\" TO {u}; GRANT DELETE ON \"S {u}\".\"T;\"\"'\" TO {u}; GRANT SELECT (\"A\", \"b c\") ON \"S {u}\".\"T;\"\"'\" TO {u}"
        );
        app.server.execute_in(database, &odd).await.unwrap_or_else(|error| panic!("{error}"));
    }
    second
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_copied_and_stays_equal_through_grants_and_revokes() {
    let app = App::new().await;
    let second = everything(&app).await;
    let databases = ["dev", &*second];
    let world = app.pair_world().await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    assert_equal(&app, &databases, "after the first rotation").await;
    let original = profile(&app, "dev", &app.user).await;
    world.rotate().await.unwrap();
    assert_eq!(profile(&app, "dev", &app.user).await, original, "the original was changed");

    let u = &app.user;
    app.execute(&format!(
        "ALTER GROUP g1_{u} DROP USER {u}; ALTER GROUP g2_{u} ADD USER {u}; REVOKE ROLE r1_{u} FROM {u}; GRANT ROLE r3_{u} TO {u};
         REVOKE ADMIN OPTION FOR ROLE r2_{u} FROM {u}; REVOKE TEMP ON DATABASE dev FROM {u}; REVOKE SHARE ON DATASHARE share_{u} FROM {u};
         REVOKE ASSUMEROLE ON 'arn:aws:iam::000000000000:role/{u}' FROM {u} FOR UNLOAD;
         ALTER USER {u} NOCREATEDB CONNECTION LIMIT UNLIMITED SYSLOG ACCESS RESTRICTED; ALTER USER {u} RESET SESSION TIMEOUT;
         ALTER USER {u} RESET query_group; ALTER USER {u} SET search_path TO public; ALTER USER {u} SET statement_timeout TO 60000"
    ))
    .await;
    for database in databases {
        let sql = format!(
            "REVOKE SELECT, INSERT FOR TABLES IN SCHEMA s_{u} FROM {u}; REVOKE CREATE ON SCHEMA s_{u} FROM {u};
             REVOKE GRANT OPTION FOR USAGE ON SCHEMA e_{u} FROM {u}; REVOKE DROP, SELECT ON s_{u}.t2 FROM {u};
             REVOKE GRANT OPTION FOR DELETE ON s_{u}.t2 FROM {u}; REVOKE ALL ON s_{u}.v FROM {u};
             REVOKE SELECT (a, b) ON s_{u}.t1 FROM {u}; GRANT SELECT ON s_{u}.t1 TO {u}; GRANT SELECT (a) ON s_{u}.t2 TO {u};
             REVOKE EXECUTE ON FUNCTION s_{u}.f(int, varchar) FROM {u}; REVOKE USAGE ON LANGUAGE plpgsql FROM {u};
             REVOKE EXECUTE ON MODEL s_{u}.m FROM {u};
             ALTER DEFAULT PRIVILEGES FOR USER owner_{u} IN SCHEMA s_{u} REVOKE DROP ON TABLES FROM {u};
             ALTER DEFAULT PRIVILEGES FOR USER {u} REVOKE SELECT ON TABLES FROM ROLE r1_{u}"
        );
        app.server.execute_in(database, &sql).await.unwrap_or_else(|error| panic!("{error}"));
    }
    // Grants to the alternate alone are revoked.
    app.execute(&format!("GRANT DELETE ON s_{u}.t1 TO {u}_clone; ALTER USER {u}_clone CREATEDB")).await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    assert_equal(&app, &databases, "after grants and revokes").await;
    assert!(world.output().contains("the alternate has this beyond the original"));
    world.rotate().await.unwrap();
    world.rotate().await.unwrap();
    assert_equal(&app, &databases, "two rotations later").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_original_owns_gives_the_alternate_everything_that_can_be_granted() {
    let app = App::new().await;
    let u = &app.user;
    app.execute(&format!("CREATE SCHEMA own_{u}; GRANT USAGE, CREATE ON SCHEMA own_{u} TO {u}; GRANT CREATE ON DATABASE dev TO {u}")).await;
    let client = app.server.connect(u, FIRST, "dev").await.unwrap();
    client
        .batch_execute(&format!(
            "CREATE TABLE own_{u}.t (a int); CREATE VIEW own_{u}.v AS SELECT 1 AS x; CREATE SCHEMA mine_{u}; CREATE TABLE mine_{u}.t (a int);
             CREATE FUNCTION own_{u}.f(int) RETURNS int STABLE AS $$ SELECT $1 $$ LANGUAGE sql;
             CREATE PROCEDURE own_{u}.p(a int) AS $$ BEGIN NULL; END $$ LANGUAGE plpgsql"
        ))
        .await
        .unwrap();
    let world = app.pair_world().await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    let clone = app.clone_name();
    for (sql, expected) in [
        (
            format!(
                "SELECT privilege_type FROM svv_relation_privileges WHERE identity_name = '{clone}' AND namespace_name = 'own_{u}' AND relation_name = 't' AND admin_option ORDER BY 1"
            ),
            vec!["DELETE", "DROP", "INSERT", "REFERENCES", "SELECT", "UPDATE"],
        ),
        (
            format!(
                "SELECT privilege_type FROM svv_relation_privileges WHERE identity_name = '{clone}' AND relation_name = 'v' AND admin_option ORDER BY 1"
            ),
            vec!["DROP", "SELECT"],
        ),
        (
            format!(
                "SELECT privilege_type FROM svv_schema_privileges WHERE identity_name = '{clone}' AND namespace_name = 'mine_{u}' AND admin_option ORDER BY 1"
            ),
            vec!["CREATE", "USAGE"],
        ),
        (
            format!(
                "SELECT function_name FROM svv_function_privileges WHERE identity_name = '{clone}' AND admin_option ORDER BY 1"
            ),
            vec!["f", "p"],
        ),
    ] {
        assert_eq!(app.column(&sql).await, expected, "{sql}");
    }
    let shown = app.server.query(&format!("SHOW GRANTS FOR {clone}")).await.unwrap();
    let beyond = shown.into_iter().filter_map(|row| match (row[2].as_deref(), row[4].as_deref()) {
        (Some(on), Some(privilege @ ("ALTER" | "TRUNCATE"))) => Some(format!("{privilege} {on}")),
        _ => None,
    });
    let mut beyond: Vec<String> = beyond.collect();
    beyond.sort();
    assert_eq!(beyond, ["ALTER t", "ALTER t", "ALTER v", "TRUNCATE t", "TRUNCATE t"]);
    // The output says that ownership itself was not copied.
    assert!(world.output().contains("ownership cannot be copied"), "{}", world.output());
    for _ in 0..2 {
        world.rotate().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_on_one_of_the_users_stops_the_rotation() {
    // Without the policy the alternate would see rows and values that the original does not.
    for (kind, on) in [("RLS POLICY hidden", ""), ("MASKING POLICY hidden", " (a)")] {
        let app = App::new().await;
        let u = &app.user;
        app.execute(&format!("CREATE TABLE p_{u} (a int); ATTACH {kind} ON p_{u}{on} TO {u}")).await;
        let world = app.pair_world().await;
        let error = world.rotate().await.unwrap_err();
        assert!(
            error.contains("policies") && error.contains("\"hidden\"") || error.contains("hidden on"),
            "{error}"
        );
        assert!(app.accepts(&world.current()).await);
        // The alternate exists by now. Once both users have the policy, the rotation succeeds.
        app.execute(&format!("ATTACH {kind} ON p_{u}{on} TO {u}_clone")).await;
        world.abandon().unwrap();
        world.rotate().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_away_is_named() {
    // Somebody else granted this with the grant option, so the admin cannot revoke it.
    let app = App::new().await;
    let u = &app.user;
    app.execute(&format!(
        "CREATE USER other_{u} PASSWORD '{FIRST}'; CREATE TABLE n_{u} (a int); GRANT SELECT ON n_{u} TO other_{u} WITH GRANT OPTION"
    ))
    .await;
    let world = app.pair_world().await;
    world.rotate().await.unwrap();
    world.rotate().await.unwrap();
    let other = app.server.connect(&format!("other_{u}"), FIRST, "dev").await.unwrap();
    other.batch_execute(&format!("GRANT SELECT ON n_{u} TO {u}_clone")).await.unwrap();
    world.rotate().await.unwrap();
    assert!(world.output().contains("the alternate has this beyond the original"), "{}", world.output());
}
