//! No password leaks: not into the function's output, not into an error. The cluster gets only hashes.

use std::sync::Arc;

use lab::leaks;
use lab::rotation::Step;
use lab::servers::{Redshift, Tls};
use lab::world::World;
use serde_json::Value;

use super::app::{App, FIRST};

/// Every password of every version of the secret, and the admin's.
fn passwords(app: &App, world: &World) -> Vec<String> {
    let password = |value: &Value| value["password"].as_str().expect("a password").to_owned();
    world.values().iter().map(password).chain([app.server.admin_password().to_owned()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_the_functions_output_or_in_a_statement() {
    // A separate cluster, because other tests send statements with passwords.
    let server = Arc::new(Redshift::start(Tls::Good).await.unwrap());
    for strategy in ["single-user", "admin", "alternating-users"] {
        let before = server.queries().len();
        let app = App::on(Arc::clone(&server)).await;
        let env = [("RUST_LOG", "trace")];
        let world = app.pair_world_with(&env, |secret| secret["strategy"] = strategy.into()).await;
        world.rotate().await.unwrap();
        world.rotate().await.unwrap();
        let (output, queries) = (world.output(), app.server.queries());
        let passwords = passwords(&app, &world);
        let passwords: Vec<&str> = passwords.iter().map(String::as_str).collect();
        assert!(passwords.len() >= 3);
        // The test itself made the user, with the first password in its statement.
        let made = format!("CREATE USER \"{}\" PASSWORD '{FIRST}'", app.user);
        let ours = queries[before..].iter().filter(|sql| **sql != made);
        let sent: String = ours.map(|sql| format!("{sql}\n")).collect();
        assert!(sent.contains("PASSWORD 'md5"), "{strategy}: silence would be seen");
        let log = app.server.log();
        leaks::absent(&passwords, &[("the output", output.as_bytes()), ("a statement", sent.as_bytes())]);
        leaks::absent(&passwords, &[("the server's log", log.as_bytes())]);
        // The hash must not leak either: for an md5 login it is as good as the password.
        for sql in queries.iter().filter(|sql| sql.contains(&app.user)) {
            if let Some(at) = sql.find("'md5") {
                assert!(!output.contains(&sql[at + 1..at + 36]), "{strategy}: a hash is in the output");
            }
        }
        assert!(output.contains("the step is done"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_an_error_however_the_server_quotes_it() {
    let app = App::new().await;
    let world = app.world_with(&[("RUST_LOG", "trace")], |_| ()).await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    let mut pending = world.labelled("AWSPENDING").unwrap();
    let password = pending["password"].as_str().unwrap().to_owned();
    pending["test_statement"] = format!("SELECT '{password}'::int").into();
    world.abandon().unwrap();
    let next = world.begin().unwrap();
    world.put(&next, &pending, "AWSPENDING").unwrap();
    let error = world.step(&next, Step::TestSecret).await.unwrap_err().to_string();
    assert!(error.contains("22P02") && error.contains("[hidden]"), "{error}");
    let passwords = passwords(&app, &world);
    let passwords: Vec<&str> = passwords.iter().map(String::as_str).collect();
    leaks::absent(&passwords, &[("the error", error.as_bytes()), ("the output", world.output().as_bytes())]);
}
