//! No password leaves: not into the servers' logs, not into the function's output, not into an error.

use lab::servers::MySql;
use lab::world::World;

use super::app::{ADMINS, App, FIRST};

/// Every form in which a password could be hiding.
fn forms(password: &str) -> Vec<String> {
    let hex: String = password.bytes().map(|byte| format!("{byte:02x}")).collect();
    let escaped = serde_json::Value::from(password).to_string();
    let quoted = password.replace('\'', "''");
    // A long piece is a leak as well: servers cut statements short in their errors.
    let piece = password[4..20].to_owned();
    vec![password.to_owned(), hex.to_uppercase(), hex, escaped.trim_matches('"').to_owned(), quoted, piece]
}

#[track_caller]
fn absent(world: &World, texts: &[(&str, &str)]) {
    let values = world.values();
    let mut passwords: Vec<&str> =
        values.iter().map(|value| value["password"].as_str().expect("every value has a password")).collect();
    passwords.push(ADMINS);
    for password in passwords {
        for form in forms(password) {
            for (name, text) in texts {
                assert!(!text.contains(&form), "{password} is in {name} as {form}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_a_log_of_the_servers_or_in_the_functions_output() {
    for release in MySql::releases().await.unwrap() {
        for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
            let server = MySql::release(release)
                .setting("general_log", "1")
                .setting("slow_query_log", "1")
                .setting("long_query_time", "0")
                .setting("performance_schema", "ON");
            let app = App::on(server.start().await.unwrap().into()).await;
            let history = ["statements_current", "statements_history", "statements_history_long"];
            for consumer in history {
                let sql = format!(
                    "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME = 'events_{consumer}'"
                );
                app.server.execute(&sql).await.unwrap();
            }
            let world = app.world_as(strategy, |_| ()).await;
            // Whoever made the accounts wrote their first passwords, which are not ours to hide.
            let made = app.server.general_log().len();
            for _ in 0..2 {
                world.rotate().await.unwrap();
            }
            let general = app.server.general_log()[made..].to_owned();
            assert!(
                general.contains("ALTER USER") || general.contains("SET PASSWORD"),
                "silence would be seen: {general}"
            );
            let binary = String::from_utf8_lossy(&app.server.binary_log().unwrap()).into_owned();
            assert!(binary.contains("ALTER USER") || binary.contains("SET PASSWORD"));
            let mut statements = String::new();
            for table in history {
                let sql = format!(
                    "SELECT SQL_TEXT FROM performance_schema.events_{table} WHERE SQL_TEXT IS NOT NULL"
                );
                for row in app.server.query(&sql).await.unwrap() {
                    let text = row[0].clone().unwrap();
                    if !text.contains(FIRST) && !text.contains(ADMINS) {
                        statements.push_str(&text);
                        statements.push('\n');
                    }
                }
            }
            assert!(
                statements.contains("ALTER USER") || statements.contains("SET PASSWORD"),
                "{release} {strategy}"
            );
            let mut later = world.values();
            later.retain(|value| value["password"] != FIRST);
            assert_eq!(later.len(), 2);
            // The binary log starts with the server, so the first passwords are in it where the server writes them.
            for value in later {
                for form in forms(value["password"].as_str().unwrap()) {
                    assert!(!binary.contains(&form), "{release} {strategy}: {form} is in the binary log");
                }
            }
            let log = app.server.log();
            let output = world.output();
            absent(
                &world,
                &[
                    ("the general log", &general),
                    ("the statement history", &statements),
                    ("the error log", &log),
                    ("the output", &output),
                ],
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_an_error_that_quotes_the_statement() {
    use lab::rotation::Step;
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world().await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap();
        let mut pending = world.labelled("AWSPENDING").unwrap();
        let password = pending["password"].as_str().unwrap().replace('\\', "\\\\").replace('\'', "''");
        pending["test_statement"] = format!("SELECT 1 FRM '{password}'").into();
        world.lab.secrets().remove_label(&world.secret, "AWSPENDING").unwrap();
        let next = world.begin().unwrap();
        world.lab.secrets().put(&world.secret, &next, &pending.to_string(), &["AWSPENDING"]).unwrap();
        let error = world.step(&next, Step::TestSecret).await.unwrap_err().to_string();
        assert!(error.contains("1064") && error.contains("[hidden]"), "{error}");
        absent(&world, &[("the error", &error), ("the output", &world.output())]);
    }
}
