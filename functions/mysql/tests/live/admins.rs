//! What admins' sessions send, by the server's general log: only what is on a closed list.

use std::sync::Arc;

use lab::servers::MySql;
use mysql_async::prelude::Queryable;
use serde_json::Value;

use super::app::{ADMINS, App, unique};

/// All that an admin's session sends, each as its beginning. The list is the test's own.
const LIST: [&str; 34] = [
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION READ WRITE",
    "SET SESSION wait_timeout = 20, SESSION lock_wait_timeout = 5",
    "SELECT CURRENT_USER(), @@proxy_user, VERSION(), @@version_comment",
    "SELECT GET_LOCK('turnlock:",
    "DO RELEASE_LOCK('turnlock:",
    "SELECT NOW()",
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN (",
    "SHOW GLOBAL STATUS LIKE 'Slaves_running'",
    "SELECT COUNT(*) FROM performance_schema.replication_connection_status WHERE SERVICE_STATE <> 'OFF'",
    "SHOW CREATE USER '",
    "SHOW ERRORS",
    "ALTER USER '",
    "CREATE USER '",
    "GRANT ",
    "REVOKE ",
    "SET DEFAULT ROLE ",
    "SELECT @@max_password_errors",
    "SELECT Host FROM mysql.user WHERE User = '",
    "SELECT Host FROM mysql.global_priv WHERE User = '",
    "SELECT plugin, authentication_string, ",
    "SELECT Priv FROM mysql.global_priv WHERE User = '",
    "SELECT 'user', GRANTEE, '', '', '', PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES WHERE ",
    "SELECT 'schema', GRANTEE, TABLE_SCHEMA, '', '', PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.SCHEMA_PRIVILEGES WHERE ",
    "SELECT 'table', GRANTEE, TABLE_SCHEMA, TABLE_NAME, '', PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.TABLE_PRIVILEGES WHERE ",
    "SELECT 'column', GRANTEE, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.COLUMN_PRIVILEGES WHERE ",
    "SELECT 'routine', CONCAT(",
    "SELECT 'proxy', CONCAT(",
    "SELECT 'role', CONCAT(",
    "SELECT 'default', CONCAT(",
    "SELECT 'restrictions', CONCAT(",
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '",
    "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '",
    "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '",
];

/// The statements in a general log that this user's sessions sent. A line ends with the session, the command and the text.
fn sent(log: &str, user: &str) -> Vec<String> {
    let (mut sessions, mut statements) = (Vec::new(), Vec::new());
    for line in log.lines() {
        let Some((head, text)) = line.rsplit_once('\t') else { continue };
        let mut head = head.split_whitespace().rev();
        let (Some(command), Some(session)) = (head.next(), head.next()) else { continue };
        match command {
            "Connect" if text.starts_with(&format!("{user}@")) => sessions.push(session),
            "Query" if sessions.contains(&session) => statements.push(text.to_owned()),
            _ => {}
        }
    }
    statements
}

/// The statements that are not on the list, or that name after FROM what is not the catalogue's.
fn outside(statements: &[String]) -> Vec<&String> {
    let is_listed = |statement: &String| {
        let sources = statement.split(" FROM ").skip(1);
        LIST.iter().any(|beginning| statement.starts_with(beginning))
            && (!statement.starts_with("SELECT ")
                || sources.into_iter().all(|from| {
                    ["information_schema.", "mysql.", "performance_schema.replication_"]
                        .iter()
                        .any(|schema| from.starts_with(schema))
                }))
    };
    statements.iter().filter(|statement| !is_listed(statement)).collect()
}

/// An application with grants on what exists, and on what does not.
async fn application(server: &Arc<MySql>) -> (App, String) {
    let app = App::on(Arc::clone(server)).await;
    let (user, schema) = (app.account(), unique("own"));
    for sql in [
        format!("CREATE DATABASE {schema}"),
        format!("CREATE TABLE {schema}.kept (a INT, b INT)"),
        format!("CREATE TABLE {schema}.gone (a INT)"),
        format!("CREATE PROCEDURE {schema}.p() BEGIN END"),
        format!("GRANT SELECT, INSERT ON {schema}.* TO {user} WITH GRANT OPTION"),
        format!("GRANT SELECT (a, b), DELETE ON {schema}.kept TO {user}"),
        format!("GRANT UPDATE ON {schema}.gone TO {user}"),
        format!("GRANT EXECUTE ON PROCEDURE {schema}.p TO {user}"),
        format!("DROP TABLE {schema}.gone"),
        format!("ALTER TABLE {schema}.kept DROP COLUMN b"),
    ] {
        server.execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    (app, schema)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sends_nothing_but_account_statements_and_catalogue_reads() {
    for release in MySql::releases().await.unwrap() {
        let server: Arc<MySql> =
            MySql::release(release).setting("general_log", "1").start().await.unwrap().into();
        for strategy in ["admin", "alternating-users", "dual-password"] {
            let (app, schema) = application(&server).await;
            let world = app.world_as(strategy, |_| ()).await;
            let admin = world.lab.secrets().value("prod/admin", "AWSCURRENT").unwrap();
            let admin: Value = serde_json::from_str(&admin).unwrap();
            let admin = admin["username"].as_str().unwrap();
            for _ in 0..3 {
                world.rotate().await.unwrap_or_else(|error| panic!("{release} {strategy}: {error}"));
            }
            let statements = sent(&server.general_log(), admin);
            println!(
                "{release} {strategy}: {} statements, {} outside the list",
                statements.len(),
                outside(&statements).len()
            );
            assert!(statements.len() > 30, "{release} {strategy}: {statements:#?}");
            assert_eq!(outside(&statements), Vec::<&String>::new(), "{release} {strategy}");
            // The test can fail: what somebody else sends in such a session is noticed.
            let mut session = server.connect(admin, ADMINS, "").await.unwrap();
            session.query_drop(format!("SELECT a FROM {schema}.kept")).await.unwrap();
            session.query_drop("SHOW DATABASES").await.unwrap();
            session.disconnect().await.unwrap();
            let statements = sent(&server.general_log(), admin);
            let strange = outside(&statements);
            assert!(strange.iter().any(|sql| sql.contains(&format!("FROM {schema}.kept"))), "{strange:?}");
            assert!(strange.iter().any(|sql| *sql == "SHOW DATABASES"), "{strange:?}");
        }
    }
}
