//! The strategy `single-user`, when nothing goes wrong.

use lab::proxy::{Protocol, Proxy};
use lab::rotation::Step;
use lab::secrets::{At, Fault, Hook, What};
use lab::servers::{Auth, Postgres, Tls};
use serde_json::json;

use super::app::{App, FIRST};

#[tokio::test(flavor = "multi_thread")]
async fn three_rotations_in_a_row_on_every_version() {
    for version in Postgres::versions().await.unwrap() {
        let app = App::new(version).await;
        let world = app.world().await;
        let mut passwords = vec![FIRST.to_owned()];
        for _ in 0..3 {
            let token = world.rotate().await.unwrap_or_else(|error| panic!("PostgreSQL {version}: {error}"));
            let current = world.current();
            assert!(app.accepts(&current).await);
            assert!(!app.accepts(&json!({"password": passwords.last().unwrap()})).await);
            assert_eq!(current["note"], json!({"kept": [1, 2.50]}));
            assert_eq!(world.lab.secrets().version_with(&world.secret, "AWSCURRENT"), Some(token));
            let password = current["password"].as_str().unwrap().to_owned();
            assert!(password.len() == 32 && !passwords.contains(&password));
            passwords.push(password);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_costs_fifteen_calls_at_most_eight_deep_and_no_refused_login() {
    let server = Postgres::version(17).setting("log_connections", "on").start().await.unwrap();
    let app = App::on(server.into()).await;
    let world = app.world().await;
    world.lab.set_latency(std::time::Duration::from_millis(300));
    world.rotate().await.unwrap();
    let calls: Vec<String> = world.lab.calls().into_iter().map(|call| call.operation).collect();
    assert!(calls.len() <= 15, "{} calls: {calls:?}", calls.len());
    assert!(world.lab.depth() <= 8, "{} deep: {:#?}", world.lab.depth(), world.lab.calls());
    let log = app.server.log();
    assert!(log.contains("connection authorized") && !log.contains("FATAL"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stores_md5_gets_md5() {
    let server = Postgres::version(14).auth(Auth::Md5).start().await.unwrap();
    let app = App::on(server.into()).await;
    let world = app.world().await;
    world.rotate().await.unwrap();
    let stored =
        app.server.query(&format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{}'", app.user)).await;
    assert!(stored.unwrap()[0][0].as_ref().unwrap().starts_with("md5"));
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ssl_false_rotates_without_tls_and_says_nothing_in_clear_text() {
    let server = Postgres::version(16).tls(Tls::Off).start().await.unwrap();
    let app = App::on(server.into()).await;
    for spelling in [json!(false), json!("False")] {
        let world = app.world_with(&[], |secret| secret["ssl"] = spelling).await;
        // After the first round the account has another password.
        if !app.accepts(&world.current()).await {
            app.server.execute(&format!("ALTER ROLE \"{}\" PASSWORD '{FIRST}'", app.user)).await.unwrap();
        }
        world.rotate().await.unwrap();
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_can_be_repeated_and_a_finished_rotation_answers_at_once() {
    let app = App::new(16).await;
    let world = app.world().await;
    let token = world.begin().unwrap();
    for step in Step::ALL {
        for _ in 0..3 {
            world.step(&token, step).await.unwrap();
        }
    }
    for step in Step::ALL {
        world.step(&token, step).await.unwrap();
    }
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_secret_works_on_its_own() {
    // With RotateImmediately=false, RotateSecret calls no other step.
    let app = App::new(16).await;
    let world = app.world().await;
    let token = world.begin().unwrap();
    world.put(&token, &app.secret(), "AWSPENDING").unwrap();
    world.step(&token, Step::TestSecret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_statement_of_the_secret_is_run_and_its_failure_stops_the_rotation() {
    let app = App::new(16).await;
    let world = app.world_with(&[], |secret| secret["test_statement"] = json!("SELECT 1 / 0")).await;
    let error = world.rotate().await.unwrap_err();
    assert!(
        error.starts_with("testSecret: ServerRefused:") && error.contains("22012: division by zero"),
        "{error}"
    );
    assert_eq!(world.current()["password"], FIRST);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_downtime_of_a_single_user_is_logged_and_metered() {
    let app = App::new(16).await;
    let world = app.world().await;
    world.rotate().await.unwrap();
    let output = world.output();
    for part in [
        "\"downtime_ms\":",
        "\"DowntimeMilliseconds\":",
        "\"RotationSucceeded\":1",
        "\"StepDuration\":",
        "\"PasswordAgeDays\":",
    ] {
        assert!(output.contains(part), "no {part} in {output}");
    }
    for line in output.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not JSON: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_reached_while_secrets_manager_is_waited_for_and_told_nothing() {
    let app = App::new(16).await;
    let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1", app.server.port()).await.unwrap();
    let port = proxy.port();
    let world = app.world_with(&[], |secret| {
        secret["port"] = port.into();
        secret["ssl"] = json!(false);
    });
    let world = world.await;
    let token = world.begin().unwrap();
    for step in [Step::CreateSecret, Step::SetSecret] {
        world.step(&token, step).await.unwrap();
    }
    // While a call is held back, the connection is open and silent.
    let connected_meanwhile = async |step: Step, operation: &str| {
        let (hook, mut held) = Hook::hold();
        world.lab.faults().set(vec![Fault::new(At::operation(operation, 1), What::Before(hook))]);
        proxy.cut_all().await;
        proxy.clear();
        let look = async {
            held.reached().await.unwrap();
            until(|| open(port) == 1).await;
            assert_eq!(proxy.messages().len(), 0);
            held.release();
        };
        tokio::join!(world.step(&token, step), look).0
    };
    connected_meanwhile(Step::TestSecret, "GetSecretValue").await.unwrap();
    assert!(!proxy.messages().is_empty());
    // If the gate is closed, nothing is sent on the connection, and it ends with the step.
    world.abandon().unwrap();
    let refused = connected_meanwhile(Step::FinishSecret, "DescribeSecret").await.unwrap_err().to_string();
    assert!(refused.starts_with("NotRotatable:"), "{refused}");
    until(|| open(port) == 0).await;
    assert_eq!(proxy.messages().len(), 0);
    // If the secret's server has changed, the function connects to the new one.
    let mut moved = world.current();
    moved["port"] = app.server.port().into();
    app.server.execute(&format!("ALTER ROLE \"{}\" PASSWORD '{FIRST}'", app.user)).await.unwrap();
    world.put("00000000-0000-4000-8000-00000000000a", &moved, "AWSCURRENT").unwrap();
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
    assert_eq!(proxy.messages().len(), 0);
}

/// The number of open connections to a port of this machine, from the listener's side (proc_net_tcp(5)).
fn open(port: u16) -> usize {
    let (listener, established) = (format!(":{port:04X}"), "01");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields[1].ends_with(&listener) && fields[3] == established).count()
}

async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}
