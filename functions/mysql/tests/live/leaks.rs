//! No password leaks: not into the servers' logs, not into the function's output, not into an error.

use lab::leaks;
use lab::servers::MySql;
use lab::world::World;
use serde_json::Value;

use super::app::{ADMINS, App, FIRST};

/// Searches for every password of every version of the secret, and for the admin's.
#[track_caller]
fn absent(world: &World, texts: &[(&str, &[u8])]) {
    let values = world.values();
    let passwords: Vec<&str> = values.iter().map(password).chain([ADMINS]).collect();
    leaks::absent(&passwords, texts);
}

fn password(value: &Value) -> &str {
    value["password"].as_str().expect("every value has a password")
}

/// The tables of performance_schema that remember statements.
const HISTORY: [&str; 3] = ["statements_current", "statements_history", "statements_history_long"];

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_a_log_of_the_servers_or_in_the_functions_output() {
    for release in MySql::releases().await.unwrap() {
        for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
            let server = MySql::release(release)
                .setting("general_log", "1")
                .setting("slow_query_log", "1")
                .setting("log_slow_admin_statements", "ON")
                .setting("long_query_time", "0")
                .setting("performance_schema", "ON");
            let app = App::on(server.start().await.unwrap().into()).await;
            for consumer in HISTORY {
                let sql = format!(
                    "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME = 'events_{consumer}'"
                );
                app.server.execute(&sql).await.unwrap();
            }
            let world = app.world_of(strategy, &[("RUST_LOG", "trace")], |_| (), |_| ()).await;
            // The test itself made the accounts with their first passwords, so earlier log lines show these.
            let made = [app.server.general_log().len(), app.server.slow_log().len()];
            for _ in 0..2 {
                world.rotate().await.unwrap();
            }
            let general = app.server.general_log()[made[0]..].to_owned();
            let slow = app.server.slow_log()[made[1]..].to_owned();
            let binary = app.server.binary_log().unwrap();
            let statements = statements(&app).await;
            for (log, text) in [
                ("general", general.as_bytes()),
                ("slow", slow.as_bytes()),
                ("binary", &binary),
                ("statements", statements.as_bytes()),
            ] {
                let text = String::from_utf8_lossy(text);
                let speaks = text.contains("ALTER USER") || text.contains("SET PASSWORD");
                assert!(speaks, "{release} {strategy} {log}: silence would be seen");
            }
            let (log, output) = (app.server.log(), world.output());
            assert!(output.contains("the step is done"));
            let later: Vec<Value> =
                world.values().into_iter().filter(|value| value["password"] != FIRST).collect();
            assert_eq!(later.len(), 2);
            // The binary log begins with the server, so it may contain the first passwords.
            leaks::absent(&later.iter().map(password).collect::<Vec<_>>(), &[("the binary log", &binary)]);
            absent(
                &world,
                &[
                    ("the general log", general.as_bytes()),
                    ("the slow log", slow.as_bytes()),
                    ("the statement history", statements.as_bytes()),
                    ("the error log", log.as_bytes()),
                    ("the output", output.as_bytes()),
                ],
            );
        }
    }
}

/// Every statement that performance_schema remembers, without those that made the accounts.
async fn statements(app: &App) -> String {
    let mut statements = String::new();
    for table in HISTORY {
        let sql =
            format!("SELECT SQL_TEXT FROM performance_schema.events_{table} WHERE SQL_TEXT IS NOT NULL");
        for row in app.server.query(&sql).await.expect("the history") {
            let text = row[0].clone().expect("a text");
            if !text.contains(FIRST) && !text.contains(ADMINS) {
                statements.push_str(&text);
                statements.push('\n');
            }
        }
    }
    statements
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_an_error_that_quotes_the_statement() {
    use lab::rotation::Step;
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world_with(&[("RUST_LOG", "trace")], |_| ()).await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap();
        let mut pending = world.labelled("AWSPENDING").unwrap();
        let password = pending["password"].as_str().unwrap().replace('\\', "\\\\").replace('\'', "''");
        pending["test_statement"] = format!("SELECT 1 FRM '{password}'").into();
        world.abandon().unwrap();
        let next = world.begin().unwrap();
        world.put(&next, &pending, "AWSPENDING").unwrap();
        let error = world.step(&next, Step::TestSecret).await.unwrap_err().to_string();
        assert!(error.contains("1064") && error.contains("[hidden]"), "{error}");
        absent(&world, &[("the error", error.as_bytes()), ("the output", world.output().as_bytes())]);
    }
}
