//! No password leaks: not into the server's most verbose log, not into the function's output, not into an error.

use lab::leaks;
use lab::rotation::Step;
use lab::servers::Postgres;
use lab::world::World;
use serde_json::Value;

use super::app::{App, FIRST};
use super::pair::{ADMIN_SECRET, Pair, Power};

/// Searches for every password of every version of the secret, and for the admin's.
#[track_caller]
fn absent(world: &World, texts: &[(&str, &str)]) {
    let admin = world.lab.secrets().value(ADMIN_SECRET, "AWSCURRENT");
    let admin = admin.map(|text| serde_json::from_str(&text).expect("the value is JSON"));
    let values: Vec<Value> = world.values().into_iter().chain(admin).collect();
    let passwords = values.iter().map(|value| value["password"].as_str().expect("a password"));
    let passwords: Vec<&str> = passwords.chain([FIRST]).collect();
    let texts: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    leaks::absent(&passwords, &texts);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_the_servers_log_or_in_the_functions_output() {
    for version in [14, 18] {
        let server = Postgres::version(version)
            .setting("log_statement", "all")
            .setting("log_min_duration_statement", "0")
            .setting("log_connections", "on")
            .setting("log_min_messages", "debug1")
            .setting("log_error_verbosity", "verbose")
            .start()
            .await
            .unwrap();
        let app = App::on(server.into()).await;
        let world = app.world_with(&[("RUST_LOG", "trace")], |_| ()).await;
        world.rotate().await.unwrap();
        // The log does show statements, so the search covers them.
        assert!(app.server.log().contains("ALTER ROLE"));
        let log = app.server.log();
        // The test itself made the account, with the first password in its statement.
        let log: String = log.lines().filter(|line| !line.contains("CREATE ROLE")).collect();
        absent(&world, &[("the server's log", &log), ("the output", &world.output())]);
        assert!(world.output().contains("the step is done"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_the_servers_log_when_an_admin_acts() {
    for (version, strategy) in
        [(14, "alternating-users"), (14, "admin"), (18, "alternating-users"), (18, "admin")]
    {
        let server = Postgres::version(version)
            .setting("log_statement", "all")
            .setting("log_min_duration_statement", "0")
            .setting("log_min_messages", "debug1")
            .setting("log_error_verbosity", "verbose")
            .start()
            .await
            .unwrap();
        let pair = Pair::on(server.into(), Power::CreateRole).await;
        let change = |secret: &mut Value| secret["strategy"] = strategy.into();
        let world = pair.world_with(&[("RUST_LOG", "trace")], change).await;
        for _ in 0..3 {
            world.rotate().await.unwrap();
        }
        let log = pair.app.server.log();
        assert!(log.contains("ALTER ROLE") && log.contains("SCRAM-SHA-256$"));
        let log: String = log
            .lines()
            .filter(|line| !line.contains("LOGIN PASSWORD '") || line.contains("SCRAM"))
            .filter(|line| !line.contains("CREATEROLE"))
            .collect();
        absent(&world, &[("the server's log", &log), ("the output", &world.output())]);
        assert!(!log.contains(&pair.admin_password) && !world.output().contains(&pair.admin_password));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_an_error_however_the_server_quotes_it() {
    let app = App::new(16).await;
    // The test statement contains the password, and PostgreSQL quotes the part that it does not understand.
    let world = app.world().await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    let mut pending = world.labelled("AWSPENDING").unwrap();
    let password = pending["password"].as_str().unwrap().to_owned();
    pending["test_statement"] = format!("SELECT '{}'::int", password.replace('\'', "''")).into();
    world.abandon().unwrap();
    let next = world.begin().unwrap();
    world.put(&next, &pending, "AWSPENDING").unwrap();
    let error = world.step(&next, Step::TestSecret).await.unwrap_err().to_string();
    assert!(error.contains("22P02") && error.contains("[hidden]"), "{error}");
    absent(&world, &[("the error", &error), ("the output", &world.output())]);
}
