//! Failures of AWS's function for Redshift, and failures on the way to a cluster. Each test is named after what happens.

use std::sync::Arc;
use std::time::Duration;

use lab::certs::Authority;
use lab::rotation::Step;
use lab::servers::{Redshift, Tls};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::app::{App, FIRST};

/// A change that spoils a secret.
type Change = fn(&mut Value);

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_a_silent_server_and_an_unknown_name_are_told_apart() {
    let app = App::new().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let world = app.world_with(&[], |secret| secret["port"] = free.into()).await;
    world.fails(&["setSecret: Unreachable:", "Connection refused", "nothing listens there"]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let world = app.world_with(&[], |secret| secret["port"] = port.into()).await;
    world.fails(&["setSecret: Unreachable:", "an answer to the TLS request", "says nothing"]).await;
    let world = app.world_with(&[], |secret| secret["host"] = "no-such-host.invalid".into()).await;
    world.fails(&["setSecret: Unreachable:", "no-such-host.invalid", "resolve"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_verified_in_every_respect() {
    // AWS's function accepts any certificate, and no TLS at all.
    for (tls, part) in [
        (Tls::UnknownAuthority, "authority that is not trusted"),
        (Tls::WrongName, "another name"),
        (Tls::Expired, "expired"),
        (Tls::Off, "does not offer TLS"),
    ] {
        let app = App::on(Arc::new(Redshift::start(tls).await.unwrap())).await;
        let world = app.world().await;
        world.fails(&["setSecret: Unreachable:", part]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_an_answer_and_names_every_version_that_was_tried() {
    // Redshift's code for this is PostgreSQL's code for a login that is not allowed.
    let app = App::new().await;
    let world = app.world_with(&[], |secret| secret["password"] = "not the password at all".into()).await;
    let error = world.fails(&["setSecret: LockedOut:", "AWSCURRENT", "28000", "ADMIN_RESET"]).await;
    assert!(error.contains("AWSPENDING") && !error.contains("not the password"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_named() {
    let app = App::new().await;
    let world = app.world_with(&[], |secret| secret["dbname"] = "nowhere".into()).await;
    world.fails(&["setSecret: BadSecret:", "nowhere", "dbname"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pending_label_locks_nobody_out() {
    // AWS's function never tries a version without a label, so it could never log in again after this.
    for strategy in ["single-user", "admin"] {
        let app = App::new().await;
        let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        for _ in 0..2 {
            let token = world.begin().unwrap();
            world.step(&token, Step::CreateSecret).await.unwrap();
            world.step(&token, Step::SetSecret).await.unwrap();
            world.abandon().unwrap();
            assert!(!app.accepts(&world.current()).await);
        }
        world.rotate().await.unwrap();
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_between_the_steps_send_no_password_anywhere_else() {
    // AWS's function compares only the host and the user.
    let app = App::new().await;
    for (key, value) in [
        ("port", json!(1)),
        ("dbname", json!("other")),
        ("host", json!("127.0.0.1")),
        ("username", json!("root")),
        ("ssl", json!(false)),
    ] {
        let error = app.world().await.set_edited(key, value).await.unwrap_err();
        assert!(error.starts_with("Conflict:") && error.contains(key), "{key}: {error}");
        assert!(app.server.can_login(&app.user, FIRST).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_previous_version_for_another_host_is_never_sent_there() {
    let app = App::new().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = app.world_with(&[], |secret| {
        secret["host"] = "127.0.0.1".into();
        secret["port"] = elsewhere.local_addr().unwrap().port().into();
    });
    let world = world.await;
    let mut current = app.secret();
    current["password"] = "a password that is wrong".into();
    let token = "00000000-0000-4000-8000-000000000001";
    world.put(token, &current, "AWSCURRENT").unwrap();
    world.fails(&["LockedOut"]).await;
    let knocked = tokio::time::timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(knocked.is_err(), "the old host was contacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_overtaken_changes_nothing() {
    let app = App::new().await;
    let world = app.pair_world().await;
    world.refuses_when_overtaken().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_server_refuses_is_explained_and_can_be_replaced() {
    let app = App::new().await;
    let world = app.world_with(&[("PASSWORD_FORM", "plaintext")], |_| ()).await;
    let token = world.begin().unwrap();
    let mut pending = world.current();
    pending["password"] = "all-lower-case-and-1-digit".into();
    world.put(&token, &pending, "AWSPENDING").unwrap();
    let error = world.step(&token, Step::SetSecret).await.unwrap_err().to_string();
    for part in ["ServerRefused:", "22023", "uppercase", "AWSPENDING"] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    world.abandon().unwrap();
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stray_finish_secret_promotes_nothing_that_does_not_log_in() {
    for strategy in ["single-user", "alternating-users"] {
        let app = App::new().await;
        let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        let error = world.step(&token, Step::FinishSecret).await.unwrap_err().to_string();
        assert!(error.starts_with("CredentialRejected:"), "{error}");
        assert_eq!(world.current()["password"], FIRST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_cannot_be_rotated_are_refused_with_their_fault() {
    let app = App::new().await;
    let cases: &[(&str, Change, &str)] = &[
        ("another engine", |secret| secret["engine"] = "postgres".into(), "engine"),
        ("no host", |secret| drop(secret.as_object_mut().unwrap().remove("host")), "\"host\""),
        ("no password", |secret| secret["password"] = Value::Null, "\"password\""),
        ("a port that is none", |secret| secret["port"] = "x".into(), "port"),
        ("a strategy of others", |secret| secret["strategy"] = "dual-password".into(), "alternating-users"),
        ("no admin", |secret| secret["strategy"] = "admin".into(), "masterarn"),
        (
            "a sync that is none",
            |secret| {
                secret["masterarn"] = "x".into();
                secret["sync"] = "all".into();
            },
            "sync",
        ),
    ];
    for (case, change, part) in cases {
        let world = app.world_with(&[], change).await;
        let error = world.rotate().await.expect_err(case);
        assert!(error.contains("createSecret: BadSecret:") && error.contains(part), "{case}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_is_never_tried_with_an_authority_that_it_did_not_trust() {
    // Otherwise a user who can write AWSCURRENT could name an authority of their own and receive older passwords.
    let app = App::new().await;
    let world = app.world_with(&[], |secret| secret["sslrootcert"] = Authority::new().pem().into()).await;
    let mut current = app.secret();
    current["password"] = "Wr0ng-0ne-2".into();
    world.put("00000000-0000-4000-8000-000000000001", &current, "AWSCURRENT").unwrap();
    world.fails(&["LockedOut", "AWSPREVIOUS", "UnknownIssuer"]).await;
    assert!(app.accepts(&app.secret()).await);
}
