//! Failures of AWS's function, and failures on the way to a server. Each test is named after what happens.

use std::time::Duration;

use lab::Options;
use lab::certs::Authority;
use lab::proxy::{OnConnect, Protocol, Proxy};
use lab::rotation::{Retries, Step};
use lab::runtime::Function;
use lab::secrets::{At, Fault, What};
use lab::servers::{Auth, Postgres, Tls};
use lab::world::World;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::app::{App, FIRST};

async fn on(options: lab::servers::PostgresOptions) -> App {
    App::on(options.start().await.expect("the server starts").into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_drops_packets_is_named_with_its_stage() {
    let app = App::new(16).await;
    let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1", app.server.port()).await.unwrap();
    proxy.on_connect(OnConnect::DropPackets).await.unwrap();
    let port = proxy.port();
    let world = app.world_with(&[], |secret| secret["port"] = port.into()).await;
    world.fails(&["setSecret: Unreachable:", "a TCP connection to localhost", "security group"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let app = App::new(16).await;
    let world = app.world_with(&[], |secret| secret["port"] = free.into()).await;
    let place = format!("no TCP connection to localhost:{free}");
    world.fails(&["setSecret: Unreachable:", &place, "Connection refused", "nothing listens there"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_says_nothing_is_named() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let app = App::new(16).await;
    let place = format!("localhost:{port}");
    let world = app.world_with(&[], |secret| secret["port"] = port.into()).await;
    world.fails(&["setSecret: Unreachable:", "an answer to the TLS request", &place, "says nothing"]).await;
    let world = app.world_with(&[], |secret| {
        secret["port"] = port.into();
        secret["ssl"] = json!(false);
    });
    let world = world.await;
    world.fails(&["setSecret: Unreachable:", "to answer the login", &place]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_resolve_is_named() {
    let app = App::new(16).await;
    let world = app.world_with(&[], |secret| secret["host"] = "no-such-host.invalid".into()).await;
    world.fails(&["setSecret: Unreachable:", "no-such-host.invalid", "resolve"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_a_wrong_name_and_an_expired_one_are_told_apart() {
    for (tls, parts) in [
        (Tls::UnknownAuthority, ["authority that is not trusted", "sslrootcert"]),
        (Tls::WrongName, ["not valid for", "another name"]),
        (Tls::Expired, ["expired", "renew it"]),
    ] {
        let app = on(Postgres::version(16).tls(tls)).await;
        let world = app.world().await;
        world
            .fails(&[&["setSecret: Unreachable:", "the TLS handshake with localhost:"], &parts[..]].concat())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_and_never_sent_anything_in_clear() {
    // AWS's function retries in plaintext if the secret has no "ssl" or an unknown value.
    let app = on(Postgres::version(16).tls(Tls::Off).setting("log_connections", "on")).await;
    for ssl in [Value::Null, json!("yes"), json!(1), json!("")] {
        let world = app.world_with(&[], |secret| secret["ssl"] = ssl).await;
        world.fails(&["setSecret: Unreachable:", "does not offer TLS", "ssl = on"]).await;
    }
    // The log names every user that logs in.
    let log = app.server.log();
    assert!(log.contains("connection authenticated: identity=") && !log.contains(&app.user), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_an_answer_and_names_every_version_that_was_tried() {
    let app = App::new(16).await;
    let world = app.world_with(&[], |secret| secret["password"] = "not the password at all".into()).await;
    let error = world.fails(&["setSecret: LockedOut:", "AWSCURRENT", "28P01", "ADMIN_RESET"]).await;
    assert!(error.contains("AWSPENDING") && !error.contains("not the password"), "{error}");
    // This server never locks accounts.
    assert!(!error.contains("no more was tried"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_in_aws_previous_is_found_without_listing_versions() {
    let app = App::new(16).await;
    let world = app.world().await;
    let mut wrong = world.current();
    wrong["password"] = "not the password at all".into();
    world.put("00000000-0000-4000-8000-00000000000a", &wrong, "AWSCURRENT").unwrap();
    world.lab.clear_calls();
    world.rotate().await.unwrap();
    assert!(world.lab.calls().iter().all(|call| call.operation != "ListSecretVersionIds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_permission_to_list_old_versions_the_error_is_a_lockout_and_any_other_fault_is_named() {
    for (code, kind, part) in [
        ("AccessDeniedException", "setSecret: LockedOut:", "secretsmanager:ListSecretVersionIds"),
        ("InvalidParameterException", "setSecret: NotRotatable:", "InvalidParameterException"),
    ] {
        let app = App::new(16).await;
        let world = app.world_with(&[], |secret| secret["password"] = "not the password at all".into()).await;
        let refused = What::FailBefore(code.into(), 400);
        world.lab.faults().set(vec![Fault::new(At::operation("ListSecretVersionIds", 1), refused)]);
        world.fails(&[kind, part]).await;
    }
}

/// If a version's key is unavailable for good, the other versions must still be tried. A version that cannot be read just now has
/// not been refused by any server.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_is_passed_over_if_it_may_not_be_read_and_any_other_trouble_is_itself() {
    for (code, kind) in [
        ("AccessDeniedException", "setSecret: LockedOut:"),
        ("InvalidParameterException", "setSecret: NotRotatable:"),
    ] {
        let app = App::new(16).await;
        let world = app.world().await;
        let mut wrong = world.current();
        wrong["password"] = "not the password at all".into();
        world.put("00000000-0000-4000-8000-00000000000a", &wrong, "AWSCURRENT").unwrap();
        // After two reads each by createSecret and setSecret.
        let previous = At::operation("GetSecretValue", 5);
        world.lab.faults().set(vec![Fault::new(previous, What::FailBefore(code.into(), 400))]);
        world.fails(&[kind]).await;
        assert!(world.lab.faults().unused().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secrets_manager_that_answered_before_is_slow_and_not_out_of_reach() {
    let app = App::new(16).await;
    let answered = "answered this step before";
    for (slow, hint, other) in [
        (&["PutSecretValue"][..], answered, "NAT"),
        (&["DescribeSecret", "GetSecretValue"], "in a VPC without NAT", answered),
    ] {
        let command = [Function::build("rotate-postgres").unwrap()];
        let function = Function::new("rotate", command).timeout(Duration::from_secs(4));
        let world = World::of(Options::default(), function, &app.secret()).await.unwrap();
        let delay =
            |name: &&str| Fault::new(At::Every((*name).to_owned()), What::Delay(Duration::from_secs(60)));
        world.lab.faults().set(slow.iter().map(delay).collect());
        let error =
            world.fails(&["createSecret: Unreachable:", "gave up waiting for Secrets Manager", hint]).await;
        assert!(!error.contains(other), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_no_password_proves_nothing() {
    // With `trust`, AWS's function concludes that pending works already, and never rotates.
    let app = on(Postgres::version(16).auth(Auth::Trust)).await;
    let world = app.world().await;
    world.fails(&["setSecret: NotOurs:", "without asking for the password", "trust"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_clear_text_gets_it_over_tls_only() {
    let app = on(Postgres::version(16).auth(Auth::Password)).await;
    let world = app.world_with(&[], |secret| secret["ssl"] = json!(false)).await;
    world.fails(&["setSecret: Unreachable:", "clear text", "\"ssl\": false"]).await;
    let world = app.world().await;
    world.rotate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pending_label_locks_nobody_out() {
    // AWS's function never tries a version without a label, so it could never log in again after this.
    let app = App::new(16).await;
    let world = app.world().await;
    for lost in 1..=2 {
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap_or_else(|error| panic!("round {lost}: {error}"));
        world.abandon().unwrap();
        assert!(!app.accepts(&world.current()).await);
    }
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_server_refuses_is_explained_and_can_be_replaced() {
    let server =
        Postgres::version(16).setting("shared_preload_libraries", "passwordcheck").start().await.unwrap();
    let app = App::on(server.into()).await;
    let world = app.world_with(
        &[("PASSWORD_FORM", "plaintext"), ("EXCLUDE_NUMBERS", "true"), ("EXCLUDE_PUNCTUATION", "true")],
        |_| (),
    );
    let world = world.await;
    world.fails(&["setSecret: ServerRefused:", "22023", "AWSPENDING"]).await;
    assert!(app.accepts(&world.current()).await);
    // The error says to remove the label. With a fitting policy the next rotation then succeeds.
    world.abandon().unwrap();
    let fitting = app.world_with(&[("PASSWORD_FORM", "plaintext")], |_| ()).await;
    fitting.rotate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_between_the_steps_send_no_password_anywhere_else() {
    let app = App::new(16).await;
    for (key, value) in [
        ("port", json!(1)),
        ("dbname", json!("other")),
        ("host", json!("127.0.0.1")),
        ("username", json!("root")),
        ("ssl", json!(false)),
        ("engine", json!("aurora-postgresql")),
    ] {
        let error = app.world().await.set_edited(key, value).await.unwrap_err();
        assert!(error.starts_with("Conflict:") && error.contains(key), "{key}: {error}");
        assert!(app.accepts(&json!({"password": FIRST})).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_previous_version_for_another_host_is_never_sent_there() {
    let app = App::new(16).await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = app.world_with(&[], |secret| {
        secret["host"] = "127.0.0.1".into();
        secret["port"] = elsewhere.local_addr().unwrap().port().into();
    });
    let world = world.await;
    let mut current = app.secret();
    current["password"] = "a password that is wrong".into();
    world.put("00000000-0000-4000-8000-000000000001", &current, "AWSCURRENT").unwrap();
    assert!(world.labelled("AWSPREVIOUS").is_some());
    world.fails(&["LockedOut"]).await;
    let knocked = tokio::time::timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(knocked.is_err(), "the old host was contacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_overtaken_changes_nothing() {
    let app = App::new(16).await;
    let world = app.world().await;
    world.refuses_when_overtaken().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stray_finish_secret_promotes_nothing_that_does_not_log_in() {
    let app = App::new(16).await;
    let world = app.world().await;
    let token = world.begin().unwrap();
    let error = world.step(&token, Step::FinishSecret).await.unwrap_err().to_string();
    assert!(error.contains("has no value"), "{error}");
    world.step(&token, Step::CreateSecret).await.unwrap();
    let error = world.step(&token, Step::FinishSecret).await.unwrap_err().to_string();
    assert!(error.starts_with("CredentialRejected:"), "{error}");
    assert_eq!(world.current()["password"], FIRST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_named_as_the_reason() {
    for version in [14, 18] {
        let mut server = Postgres::version(version).start().await.unwrap();
        server.execute(&format!("CREATE ROLE app LOGIN PASSWORD '{FIRST}'")).await.unwrap();
        server.become_replica().await.unwrap();
        let app = App { server: server.into(), user: "app".to_owned() };
        let world = app.world().await;
        world.fails(&["setSecret: ServerRefused:", "0A000", "replica"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_transactions_only_read_rotates() {
    let app = App::new(16).await;
    let sql = format!("ALTER ROLE \"{}\" SET default_transaction_read_only = on", app.user);
    app.server.execute(&sql).await.unwrap();
    let world = app.world().await;
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_root_is_found_before_anything_is_made_and_in_an_old_version_stops_nothing() {
    let old_authority = Authority::new().pem();
    // The error while that version is current. When a later version is refused, the rotation continues from one before both.
    for (root, found) in
        [("no certificate", "createSecret: BadSecret:"), (&*old_authority, "setSecret: Unreachable:")]
    {
        let app = App::new(16).await;
        let world = app.world().await;
        let (mut older, mut current) = (world.current(), world.current());
        older["sslrootcert"] = root.into();
        current["password"] = "a-password-that-was-never-set".into();
        world.put("00000000-0000-4000-8000-00000000000a", &older, "AWSCURRENT").unwrap();
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with(found), "{error}");
        world.abandon().unwrap();
        world.put("00000000-0000-4000-8000-00000000000b", &current, "AWSCURRENT").unwrap();
        world.rotate().await.unwrap();
        assert!(app.accepts(&world.current()).await);
        let output = world.output();
        let line = output.lines().find(|line| line.contains("the rotation goes on from it")).unwrap();
        assert!(line.contains("\"label\":\"a version without a label\""), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_cannot_be_rotated_are_refused_with_their_fault_and_nothing_is_made() {
    let app = App::new(16).await;
    type Case = (&'static str, fn(&mut Value), &'static str);
    let cases: &[Case] = &[
        ("another engine", |secret| secret["engine"] = "mysql".into(), "engine"),
        ("no host", |secret| drop(secret.as_object_mut().unwrap().remove("host")), "\"host\""),
        ("no password", |secret| secret["password"] = Value::Null, "\"password\""),
        ("a port that is none", |secret| secret["port"] = "x".into(), "port"),
        ("an unknown strategy", |secret| secret["strategy"] = "both".into(), "strategy"),
        ("a root that is none", |secret| secret["sslrootcert"] = "x".into(), "certificate"),
        ("a host that is none", |secret| secret["host"] = "a b".into(), "host"),
    ];
    for (case, change, part) in cases {
        let world = app.world_with(&[], change).await;
        let error = world.rotate().await.expect_err(case);
        assert!(error.contains("BadSecret:") && error.contains(part), "{case}: {error}");
        assert!(app.accepts(&json!({"password": FIRST})).await, "{case}");
    }
    let world = app.world().await;
    for text in ["word", "[1]", "{\"a\": "] {
        world
            .lab
            .secrets()
            .put(&world.secret, &format!("{:036}", text.len()), text, &["AWSCURRENT"])
            .unwrap();
        let error = world.rotate().await.unwrap_err();
        assert!(error.contains("createSecret: BadSecret:") && error.contains("JSON"), "{error}");
        world.abandon().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_lag_behind_the_writes_cost_a_retry_and_no_more() {
    let app = App::new(16).await;
    let lag = Duration::from_millis(300);
    // The service waits longer than the lag before it tries again.
    let retries = Retries { attempts: 3, backoff: Duration::from_millis(500) };
    let options = Options { value_lag: lag, metadata_lag: lag, retries, ..Options::default() };
    let world = World::with(options, "rotate-postgres", &[], &app.secret()).await.unwrap();
    for _ in 0..3 {
        let rotation = world.rotate_with_retries().await.unwrap();
        let attempts = rotation.steps.last().map(|run| run.attempt);
        assert!(rotation.succeeded() && attempts <= Some(2), "{:?}\n{}", rotation.steps, world.output());
        // This read has no lag.
        let current = world.lab.secrets().value_of(&world.secret, &rotation.token).unwrap();
        let current: Value = serde_json::from_str(&current).unwrap();
        assert!(app.accepts(&current).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_logs_in_with_iam_tokens_is_told_so() {
    // A stand-in for RDS, which refuses a member of rds_iam in these words.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u32().await.unwrap();
            stream.read_exact(&mut vec![0; length as usize - 4]).await.unwrap();
            let fields = b"SFATAL\0VFATAL\0C28000\0MPAM authentication failed for user \"app\"\0\0";
            let head = (fields.len() as u32 + 4).to_be_bytes();
            stream.write_all(&[b"E", &head[..], fields].concat()).await.unwrap();
        }
    });
    let app = App::new(16).await;
    let world = app.world_with(&[], |secret| {
        secret["port"] = port.into();
        secret["ssl"] = json!(false);
    });
    let error =
        world.await.fails(&["setSecret: ServerRefused:", "28000", "REVOKE rds_iam FROM", "cancel"]).await;
    assert!(!error.contains("pg_hba.conf"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aurora_that_has_paused_itself_is_given_time_to_wake_up() {
    let app = App::new(16).await;
    let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1", app.server.port()).await.unwrap();
    let world = app.world_with(&[], |secret| {
        secret["engine"] = "aurora-postgresql".into();
        secret["port"] = proxy.port().into();
    });
    let world = world.await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    // Longer than any other host is waited for, and shorter than Aurora's 15 s.
    proxy.on_connect(OnConnect::Asleep(Duration::from_secs(7))).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    world.steps(&token).await.unwrap();
    assert!(app.accepts(&world.current()).await);
}
