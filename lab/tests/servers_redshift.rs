//! The stand-in for Redshift: what it refuses, what it translates, and what its views show.

use lab::servers::{Deployment, Redshift, Tls};
use tokio_postgres::Client;

/// A session of the admin.
async fn admin(server: &Redshift) -> Client {
    server.connect(server.admin(), server.admin_password(), "dev").await.expect("the admin logs in")
}

/// The SQLSTATE with which a statement is refused.
async fn refusal(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => panic!("not refused: {sql}"),
        Err(error) => error.code().unwrap_or_else(|| panic!("{sql}: {error}")).code().to_owned(),
    }
}

/// Rows as text, with a bar between columns.
async fn rows(server: &Redshift, sql: &str) -> Vec<String> {
    let rows = server.query(sql).await.expect(sql);
    rows.into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|"))
        .collect()
}

/// What Redshift's grammar does not have.
const NO_STATEMENTS: &[&str] = &[
    // Statements that are not on the page "SQL commands".
    "DO $$ BEGIN PERFORM 1; END $$",
    "SAVEPOINT a",
    "LISTEN a",
    "NOTIFY a",
    "REASSIGN OWNED BY a TO b",
    "DROP OWNED BY a",
    "CREATE INDEX i ON refused_table (a)",
    "CREATE SEQUENCE s",
    "CREATE EXTENSION pgcrypto",
    "CREATE TRIGGER t BEFORE INSERT ON refused_table EXECUTE FUNCTION f()",
    "CREATE TYPE t AS (a int)",
    "CREATE DOMAIN d AS int",
    "SECURITY LABEL ON ROLE a IS 'x'",
    "ALTER SYSTEMS SET a = 1",
    "VALUES (1)",
    "TABLE refused_table",
    // "CREATE ROLE" and "ALTER ROLE": an RBAC role never logs in; "GRANT": a role is granted as ROLE.
    "CREATE ROLE x LOGIN PASSWORD 'abcD1234'",
    "CREATE ROLE x WITH SUPERUSER",
    "ALTER ROLE refused_user PASSWORD 'abcD1234'",
    "ALTER ROLE refused_user SET search_path TO x",
    "GRANT refused_role TO refused_user",
    "GRANT CREATE USER TO refused_user",
    "COMMENT ON ROLE refused_user IS 'x'",
    // "CREATE USER", "ALTER USER".
    "CREATE USER x",
    "CREATE USER x CREATEDB PASSWORD 'abcD1234'",
    "CREATE USER IF NOT EXISTS x PASSWORD 'abcD1234'",
    "CREATE USER x PASSWORD 'abcD1234' LOGIN",
    "CREATE USER x PASSWORD 'abcD1234' SUPERUSER",
    "ALTER USER refused_user SYSLOG ACCESS EVERYTHING",
    "ALTER USER refused_user",
    // "GRANT", "REVOKE".
    "GRANT SELECT ON refused_table TO GROUP refused_group WITH GRANT OPTION",
    "GRANT SELECT ON refused_table TO ROLE refused_role WITH GRANT OPTION",
    "GRANT SELECT ON refused_table TO PUBLIC WITH GRANT OPTION",
    "GRANT INSERT (a) ON refused_table TO refused_user",
    "GRANT SELECT (a) ON refused_table TO refused_user WITH GRANT OPTION",
    "REVOKE SELECT ON refused_table FROM refused_user CASCADE",
    "GRANT USAGE ON SEQUENCE s TO refused_user",
    "GRANT SELECT ON refused_table TO refused_user GRANTED BY awsuser",
    // "INSERT", "SELECT".
    "INSERT INTO refused_table VALUES (1) ON CONFLICT DO NOTHING",
    "INSERT INTO refused_table VALUES (1) RETURNING a",
    "SELECT 1 WHERE 1 IS DISTINCT FROM 2",
    "SELECT ARRAY[1]",
    // "EXPLAIN", "SHOW GRANTS".
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN (FORMAT JSON) SELECT 1",
    "EXPLAIN CALL refused_procedure()",
    "SHOW GRANTS FOR refused_user LIMIT 10001",
    "this is not SQL",
    "SELECT 'unterminated",
];

/// What it has a code of its own for.
const REFUSED: &[(&str, &str)] = &[
    // "Unsupported PostgreSQL functions".
    ("SELECT pg_advisory_lock(1)", "42883"),
    ("SELECT pg_advisory_xact_lock(1)", "42883"),
    ("SELECT pg_try_advisory_lock(1)", "42883"),
    ("SELECT format('%I', 'a')", "42883"),
    ("SELECT string_agg('a', ',')", "42883"),
    ("SELECT clock_timestamp()", "42883"),
    ("SELECT pg_sleep(1)", "42883"),
    ("SELECT quote_nullable('a')", "42883"),
    ("SELECT set_config('a.b', 'c', false)", "42883"),
    // "Unsupported PostgreSQL features": database roles, and the catalogs about them.
    ("SELECT rolname FROM pg_roles", "42P01"),
    ("SELECT * FROM pg_auth_members", "42P01"),
    ("SELECT rolpassword FROM pg_authid", "42P01"),
    ("SELECT * FROM pg_catalog.pg_db_role_setting", "42P01"),
    // "Unsupported PostgreSQL data types".
    ("SELECT '{}'::jsonb", "42704"),
    ("SELECT CAST('a' AS uuid)", "42704"),
    ("SELECT 'a'::bytea", "42704"),
    // "Configuration reference".
    ("SHOW password_encryption", "42704"),
    ("SET lock_timeout = 1000", "42704"),
    ("SET LOCAL idle_in_transaction_session_timeout = 1", "42704"),
    ("SET tcp_keepalives_idle = 5", "42704"),
    ("SET role TO refused_user", "42704"),
    ("ALTER USER refused_user SET role TO x", "42704"),
    // "CREATE USER": what a password is.
    ("ALTER USER refused_user PASSWORD 'abcD123'", "22023"),
    ("ALTER USER refused_user PASSWORD 'abcd1234'", "22023"),
    ("ALTER USER refused_user PASSWORD 'abcD/1234'", "22023"),
    ("ALTER USER refused_user SESSION TIMEOUT 59", "22023"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_redshift_refuses_is_refused() {
    let server = Redshift::shared(Tls::Good).await.unwrap();
    let client = admin(&server).await;
    server
        .execute(
            "CREATE GROUP refused_group; CREATE ROLE refused_role; CREATE TABLE refused_table (a int, b int)",
        )
        .await
        .unwrap();
    server.execute("CREATE USER refused_user PASSWORD 'abcD1234'").await.unwrap();
    for sql in NO_STATEMENTS {
        assert_eq!(refusal(&client, sql).await, "42601", "{sql}");
    }
    for (sql, code) in REFUSED {
        assert_eq!(refusal(&client, sql).await, *code, "{sql}");
    }
    // There is no SCRAM: its verifiers are passwords to Redshift, and too long ones.
    let scram = format!("SCRAM-SHA-256$4096:{}${}:{}", "a".repeat(24), "B1".repeat(22), "c".repeat(44));
    assert_eq!(refusal(&client, &format!("ALTER USER refused_user PASSWORD '{scram}'")).await, "22023");
    // A prepared statement is judged like any other.
    let error = client.query("SELECT pg_advisory_lock(1)", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42883");
    // "SQL commands": 16 MB.
    let huge = format!("SELECT '{}'", "x".repeat(16 << 20));
    assert_eq!(refusal(&client, &huge).await, "54000");
    client.batch_execute(&format!("SELECT '{}'", "x".repeat(15 << 20))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_a_transaction_as_failed_as_redshift_does() {
    let server = Redshift::shared(Tls::Good).await.unwrap();
    let client = admin(&server).await;
    client.batch_execute("BEGIN; CREATE TABLE never_made (a int)").await.unwrap();
    assert_eq!(refusal(&client, "DO $$ BEGIN END $$").await, "42601");
    assert_eq!(refusal(&client, "SELECT 1").await, "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(refusal(&client, "SELECT * FROM never_made").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_introduces_itself_as_redshift() {
    let server = Redshift::shared(Tls::Good).await.unwrap();
    let version = &rows(&server, "SELECT version()").await[0];
    assert!(version.starts_with("PostgreSQL 8.0.2 on") && version.contains("Redshift 1.0."), "{version}");
    assert_eq!(rows(&server, "SELECT current_user, 1.5 + 2 >= 3, getdate() IS NULL").await, ["awsuser|t|f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_has_the_code_of_8_0() {
    let server = Redshift::shared(Tls::Good).await.unwrap();
    let error = server.connect(server.admin(), "wrong", "dev").await.err().unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!(
        (error.code().code(), error.message()),
        ("28000", "password authentication failed for user \"awsuser\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_taken_in_three_forms_and_one_of_them_lets_no_common_client_in() {
    let server = Redshift::shared(Tls::Good).await.unwrap();
    server.execute("CREATE USER forms PASSWORD 'abcD1234'").await.unwrap();
    assert!(server.can_login("forms", "abcD1234").await.unwrap());
    // The example of the page "CREATE USER": password `ez` for `user1`.
    server.execute("CREATE USER user1 PASSWORD 'md5153c434b4b77c89e6b94f12c5393af5b'").await.unwrap();
    assert!(server.can_login("user1", "ez").await.unwrap());
    server.execute("ALTER USER forms PASSWORD DISABLE").await.unwrap();
    assert!(!server.can_login("forms", "abcD1234").await.unwrap());
    server.execute("ALTER USER forms PASSWORD 'sha256|Mypassword1'").await.unwrap();
    let error = server.connect("forms", "Mypassword1", "dev").await.err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("13"), "{cause}");
    server.execute("ALTER USER forms PASSWORD 'abcD1234'").await.unwrap();
    assert!(server.can_login("forms", "abcD1234").await.unwrap());
    server.execute("ALTER USER forms RENAME TO forms2").await.unwrap();
    assert!(!server.can_login("forms2", "abcD1234").await.unwrap());
    // A user may change its own password, and not others'.
    let user = server.connect("user1", "ez", "dev").await.unwrap();
    user.batch_execute("ALTER USER user1 PASSWORD 'ownOwn123'").await.unwrap();
    assert!(server.can_login("user1", "ownOwn123").await.unwrap());
    assert_eq!(refusal(&user, "ALTER USER forms2 PASSWORD 'abcD1234'").await, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_in_front_of_the_stand_in_speaks_tls_with_its_own_certificate() {
    let server = Redshift::start(Tls::Off).await.unwrap();
    assert!(server.can_login(server.admin(), server.admin_password()).await.unwrap());
    assert!(server.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
}

/// A user with a little of everything.
const SEEN: &str =
    "CREATE USER seen PASSWORD 'abcD1234' CREATEDB CONNECTION LIMIT 7 SYSLOG ACCESS UNRESTRICTED SESSION TIMEOUT 120;
     CREATE GROUP seen_group WITH USER seen; CREATE ROLE seen_role; CREATE ROLE seen_base;
     GRANT ROLE seen_base TO ROLE seen_role; GRANT ROLE seen_role TO seen WITH ADMIN OPTION;
     CREATE SCHEMA seen_schema; CREATE TABLE seen_schema.t (a int, b int); CREATE VIEW seen_schema.v AS SELECT 1 AS x;
     CREATE FUNCTION seen_schema.f(int, varchar) RETURNS int STABLE AS $$ SELECT $1 $$ LANGUAGE sql;
     CREATE PROCEDURE seen_schema.p(a int) AS $$ BEGIN NULL; END $$ LANGUAGE plpgsql;
     ALTER USER seen SET search_path TO seen_schema, '$user'; ALTER USER seen SET query_group TO 'big'";

/// What it is granted, and what is taken away again.
const GRANTED: &str =
    "GRANT SELECT, DROP, ALTER ON seen_schema.t TO seen WITH GRANT OPTION, ROLE seen_role, GROUP seen_group;
     REVOKE GRANT OPTION FOR DROP ON seen_schema.t FROM seen;
     GRANT ALL ON seen_schema.v TO seen; REVOKE ALL ON seen_schema.v FROM seen;
     GRANT UPDATE (b) ON seen_schema.t TO seen; GRANT SELECT (a) ON seen_schema.t TO seen;
     GRANT USAGE, ALTER, DROP ON SCHEMA seen_schema TO seen; GRANT TEMP ON DATABASE dev TO seen;
     GRANT INSERT, TRUNCATE FOR TABLES IN SCHEMA seen_schema TO seen;
     GRANT EXECUTE ON FUNCTION seen_schema.f(int, varchar) TO seen; GRANT EXECUTE ON PROCEDURE seen_schema.p(int) TO seen;
     GRANT USAGE ON LANGUAGE plpgsql TO seen; GRANT SHARE ON DATASHARE seen_share TO seen;
     GRANT ASSUMEROLE ON 'arn:aws:iam::000000000000:role/r' TO seen FOR COPY, EXTERNAL FUNCTION;
     ALTER DEFAULT PRIVILEGES FOR USER seen IN SCHEMA seen_schema GRANT INSERT ON TABLES TO GROUP seen_group;
     ALTER DEFAULT PRIVILEGES FOR USER awsuser GRANT EXECUTE ON PROCEDURES TO seen";

/// What the views show of that, row by row.
const VIEWS: &[(&str, &[&str])] = &[
    (
        "SELECT relation_name, privilege_type, admin_option FROM svv_relation_privileges WHERE identity_name = 'seen' ORDER BY 1, 2",
        &["t|DROP|f", "t|SELECT|t"],
    ),
    (
        "SHOW GRANTS FOR seen LIMIT 10000",
        &[
            "dev|seen_schema|t|TABLE|ALTER|ID|seen|user|TABLE|awsuser",
            "dev|seen_schema|t|TABLE|DROP|ID|seen|user|TABLE|awsuser",
            "dev|seen_schema|t|TABLE|SELECT|ID|seen|user|TABLE|awsuser",
            "dev|seen_schema||SCHEMA|ALTER|ID|seen|user|SCHEMA|awsuser",
            "dev|seen_schema||SCHEMA|DROP|ID|seen|user|SCHEMA|awsuser",
            "dev|seen_schema||SCHEMA|INSERT|ID|seen|user|TABLES|awsuser",
            "dev|seen_schema||SCHEMA|TRUNCATE|ID|seen|user|TABLES|awsuser",
            "dev|seen_schema||SCHEMA|USAGE|ID|seen|user|SCHEMA|awsuser",
            "dev|||DATABASE|TEMP|ID|seen|user|DATABASE|awsuser",
        ],
    ),
    (
        "SELECT identity_type, identity_name FROM svv_relation_privileges WHERE relation_name = 't' AND privilege_type = 'DROP' ORDER BY 1",
        &["group|seen_group", "role|seen_role", "user|seen"],
    ),
    ("SELECT column_name, privilege_type FROM svv_column_privileges WHERE identity_name = 'seen'", &["b|UPDATE"]),
    (
        "SELECT namespace_name, privilege_type, privilege_scope FROM svv_schema_privileges WHERE identity_name = 'seen' ORDER BY 3, 2",
        &["seen_schema|ALTER|SCHEMA", "seen_schema|USAGE|SCHEMA", "seen_schema|INSERT|TABLES", "seen_schema|TRUNCATE|TABLES"],
    ),
    ("SELECT database_name, privilege_type FROM svv_database_privileges WHERE identity_name = 'seen'", &["dev|TEMP"]),
    (
        "SELECT function_name, argument_types FROM svv_function_privileges WHERE identity_name = 'seen' ORDER BY 1",
        &["f|integer, character varying", "p|integer"],
    ),
    (
        "SELECT proname, prorettype = 0 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = 'seen_schema' ORDER BY 1",
        &["f|f", "p|t"],
    ),
    ("SELECT language_name FROM svv_language_privileges WHERE identity_name = 'seen'", &["plpgsql"]),
    ("SELECT role_name, admin_option FROM svv_user_grants WHERE user_name = 'seen'", &["seen_role|t"]),
    ("SELECT granted_role_name FROM svv_role_grants WHERE role_name = 'seen_role'", &["seen_base"]),
    ("SELECT datashare_name, privilege_type FROM svv_datashare_privileges WHERE identity_name = 'seen'", &["seen_share|SHARE"]),
    ("SELECT command_type FROM svv_iam_privileges WHERE identity_name = 'seen' ORDER BY 1", &["COPY", "EXFUNC"]),
    (
        "SELECT schema_name, object_type, owner_name, privilege_type, grantee_name, grantee_type FROM svv_default_privileges
         WHERE owner_name = 'seen' OR grantee_name = 'seen' ORDER BY 2",
        &["|PROCEDURE|awsuser|EXECUTE|seen|user", "seen_schema|RELATION|seen|INSERT|seen_group|group"],
    ),
    (
        "SELECT usecreatedb, usesuper, useconnlimit, syslogaccess, sessiontimeout FROM svl_user_info WHERE usename = 'seen'",
        &["t|f|7|UNRESTRICTED|120"],
    ),
    (
        "SELECT createdb, superuser, connection_limit, syslog_access, session_timeout FROM svv_user_info WHERE user_name = 'seen'",
        &["t|f|7|UNRESTRICTED|120"],
    ),
    (
        "SELECT useconfig FROM pg_user WHERE usename = 'seen'",
        &[r#"{"search_path=seen_schema, \"$user\"",query_group=big}"#],
    ),
    (
        "SELECT groname FROM pg_group, pg_user WHERE usesysid = ANY(grolist) AND usename = 'seen'",
        &["seen_group"],
    ),
    ("SELECT database_name FROM svv_redshift_databases WHERE database_name LIKE 'd%'", &["dev"]),
    ("SELECT usename FROM pg_user WHERE usename LIKE 'seen%' OR usename = 'postgres'", &["seen"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_views_show_what_was_granted() {
    let server = Redshift::shared(Tls::Good).await.unwrap();
    server.execute(SEEN).await.unwrap();
    server.execute(GRANTED).await.unwrap();
    let id = rows(&server, "SELECT usesysid FROM pg_user WHERE usename = 'seen'").await.remove(0);
    for (sql, expected) in VIEWS {
        let mut found = rows(&server, sql).await;
        if sql.starts_with("SHOW") {
            // It has no order of its own.
            found.iter_mut().for_each(|row| *row = row.replace(&format!("|{id}|"), "|ID|"));
            found.sort();
        }
        assert_eq!(found, *expected, "{sql}");
    }
    // What was granted holds, and others see only themselves.
    let seen = server.connect("seen", "abcD1234", "dev").await.unwrap();
    seen.batch_execute("SELECT a FROM t").await.unwrap();
    assert_eq!(refusal(&seen, "INSERT INTO t (b) SELECT 1").await, "42501");
    let others =
        seen.query("SELECT 1 FROM svv_relation_privileges WHERE identity_name <> 'seen'", &[]).await.unwrap();
    assert!(others.is_empty());
    assert_eq!(refusal(&seen, "SELECT * FROM svl_user_info").await, "42501");
    assert_eq!(refusal(&seen, "SHOW GRANTS FOR awsuser").await, "42501");
    let others = seen.query("SELECT 1 FROM svv_user_info WHERE user_name <> 'seen'", &[]).await.unwrap();
    assert!(others.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn serverless_has_no_view_of_the_older_kind() {
    let server = Redshift::start_as(Deployment::Serverless, Tls::Off).await.unwrap();
    let client = admin(&server).await;
    for view in
        ["svl_user_info", "stl_query", "stv_sessions", "svcs_query_summary", "pg_catalog.\"svl_user_info\""]
    {
        assert_eq!(refusal(&client, &format!("SELECT 1 FROM {view}")).await, "42501", "{view}");
    }
    let refused = server.query("SELECT usename FROM svl_user_info").await.unwrap_err().to_string();
    assert!(refused.contains("permission denied for relation svl_user_info"), "{refused}");
    let provisioned = Redshift::shared(Tls::Good).await.unwrap();
    assert!(!provisioned.query("SELECT usename FROM svl_user_info").await.unwrap().is_empty());
    let admin = server.query("SELECT user_name FROM svv_user_info WHERE superuser").await.unwrap();
    assert_eq!(admin, [[Some(server.admin().to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_privilege_is_never_on_a_table_and_its_columns() {
    // "Usage notes for column-level access control".
    let server = Redshift::shared(Tls::Good).await.unwrap();
    server
        .execute("CREATE USER both PASSWORD 'abcD1234'; CREATE TABLE both_levels (a int, b int)")
        .await
        .unwrap();
    let client = admin(&server).await;
    client.batch_execute("GRANT SELECT (a) ON both_levels TO both").await.unwrap();
    assert_eq!(refusal(&client, "GRANT SELECT ON both_levels TO both").await, "42501");
    client
        .batch_execute("GRANT UPDATE ON both_levels TO both; REVOKE SELECT ON both_levels FROM both")
        .await
        .unwrap();
    let columns = "SELECT column_name FROM svv_column_privileges WHERE identity_name = 'both'";
    assert!(rows(&server, columns).await.is_empty());
    client
        .batch_execute("GRANT SELECT ON both_levels TO both; GRANT SELECT (b) ON both_levels TO both")
        .await
        .unwrap();
    assert!(rows(&server, columns).await.is_empty());
    assert_eq!(refusal(&client, "REVOKE SELECT (b) ON both_levels FROM both").await, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_quotes_are_folded_unless_the_session_says_otherwise() {
    // "Names and identifiers", "enable_case_sensitive_identifier"; user names always keep their case ("CREATE USER").
    let server = Redshift::shared(Tls::Good).await.unwrap();
    let client = admin(&server).await;
    client
        .batch_execute(
            "CREATE TABLE \"Folded\" (a int); SELECT a FROM folded; CREATE USER \"Kept\" PASSWORD 'abcD1234'",
        )
        .await
        .unwrap();
    assert!(server.can_login("Kept", "abcD1234").await.unwrap());
    client
        .batch_execute("SET enable_case_sensitive_identifier TO true; CREATE TABLE \"Mixed\" (a int)")
        .await
        .unwrap();
    client.batch_execute("GRANT SELECT ON \"Mixed\" TO \"Kept\"").await.unwrap();
    let folding = admin(&server).await;
    assert_eq!(refusal(&folding, "GRANT SELECT ON \"Mixed\" TO \"Kept\"").await, "42P01");
}
