//! Services that are slow, busy or broken for a while.

use std::time::{Duration, Instant};

use http::Method;
use lab::rotation::Step;

use serde_json::json;

use super::issuer::{Fault, Reply};
use super::plain_dialect;
use super::scene::{Scene, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_waited_for() {
    let scene = Scene::plain().await;
    let wait = vec![("retry-after", "1".to_owned())];
    scene.issuer.fault(Method::POST, "/keys", Fault::Status(429, wait.clone()));
    scene.issuer.fault(Method::GET, "/keys/self", Fault::Status(429, wait.clone()));
    scene.issuer.fault(Method::DELETE, "/keys", Fault::Status(429, wait));
    let started = Instant::now();
    scene.world.rotate().await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2), "it did not wait");
    scene.world.rotate().await.unwrap();
    assert_eq!(scene.issuer.faults_left(), 0);
    scene.only_held_keys_live("key");
}

/// The statuses mean what the file says.
#[tokio::test(flavor = "multi_thread")]
async fn the_statuses_of_the_services_are_understood() {
    let tables = "[call.test]\npath = \"/keys/self\"\nauth = \"key\"\nid = \"/id\"\nlater = [409]\nrejected = [401, 418]\n\
                  [call.revoke]\nmethod = \"DELETE\"\npath = \"/keys/{{id}}\"\nauth = \"admin\"\ngone = [422]\n";
    let scene = Scene::new(Setting { tables, ..Setting::default() }).await;
    scene.issuer.fault(Method::GET, "/keys/self", Fault::Status(409, Vec::new()));
    scene.world.rotate().await.unwrap();
    let revoked = Fault::Instead(422, Vec::new(), Vec::new());
    scene.issuer.fault(Method::DELETE, "/keys", revoked);
    scene.world.rotate().await.unwrap();
    assert_eq!(scene.issuer.faults_left(), 0);
    scene.only_held_keys_live("key");
    scene.issuer.fault(Method::GET, "/keys/self", Fault::Status(418, Vec::new()));
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("CredentialRejected") && error.contains("HTTP 418"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_beyond_the_deadline_is_an_error_at_once() {
    for seconds in ["3600", "18446744073709551615"] {
        let scene = Scene::plain().await;
        let wait = vec![("retry-after", seconds.to_owned())];
        scene.issuer.fault(Method::POST, "/keys", Fault::Status(429, wait));
        let error = scene.world.rotate().await.unwrap_err();
        assert!(error.contains("Throttled") && error.contains("HTTP 429"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_service_is_asked_again_where_that_is_safe() {
    let scene = Scene::plain().await;
    for status in [500, 502, 503] {
        scene.issuer.fault(Method::GET, "/keys/self", Fault::Status(status, Vec::new()));
    }
    scene.issuer.fault(Method::GET, "/keys", Fault::LoseAnswer);
    scene.world.rotate().await.unwrap();
    scene.issuer.fault(Method::DELETE, "/keys", Fault::LoseAnswer);
    scene.world.rotate().await.unwrap();
    assert_eq!(scene.issuer.faults_left(), 0);
    scene.only_held_keys_live("key");
}

/// One step asks for only one key. The next try finds the key that was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_answer_is_lost_is_found_and_revoked() {
    for fault in [Fault::LoseAnswer, Fault::Instead(500, Vec::new(), Vec::new())] {
        let scene = Scene::plain().await;
        scene.issuer.fault(Method::POST, "/keys", fault);
        let token = scene.world.begin().unwrap();
        let error = scene.world.step(&token, Step::CreateSecret).await.unwrap_err().to_string();
        assert!(error.contains("Unreachable") && error.contains("it is not known whether"), "{error}");
        assert!(error.contains("finds and revokes what this one may have left"), "{error}");
        assert_eq!(scene.issuer.count(&Method::POST, "/keys"), 1, "it was asked for twice");
        assert_eq!(scene.issuer.live().len(), 2, "the first key and the one nobody knows");
        scene.world.steps(&token).await.unwrap();
        scene.only_held_keys_live("key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_service_is_waited_for() {
    let scene = Scene::plain().await;
    scene.issuer.latency(Duration::from_millis(150));
    scene.issuer.fault(Method::POST, "/keys", Fault::Delay(Duration::from_secs(2)));
    scene.world.rotate().await.unwrap();
    scene.only_held_keys_live("key");
}

/// Secrets Manager's retries get a rotation through every temporary failure.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_managers_retries_converge() {
    let scene = Scene::plain().await;
    scene.issuer.fault(Method::POST, "/keys", Fault::LoseAnswer);
    scene.issuer.fault(Method::POST, "/keys", Fault::Status(503, Vec::new()));
    let rotation = scene.world.rotate_with_retries().await.unwrap();
    assert!(rotation.succeeded(), "{rotation:?}");
    scene.only_held_keys_live("key");
}

/// New keys of some services need a moment before they work.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_ready_yet_is_waited_for() {
    let setting = |top| Setting {
        top,
        dialect: |store, asked| {
            let new = store.of(asked.bearer()).is_some_and(|key| key.name.starts_with("turnlock-"));
            let asked_before =
                store.log.iter().filter(|(_, path, status)| path == "/keys/self" && *status == 401).count();
            if new && asked.path == "/keys/self" && asked_before < 2 {
                return Reply::json(401, json!({}));
            }
            plain_dialect::http(store, asked)
        },
        ..Setting::default()
    };
    let patient = Scene::new(setting("ready_within = 10")).await;
    patient.world.rotate().await.unwrap();
    patient.only_held_keys_live("key");
    let error = Scene::new(setting("")).await.world.rotate().await.unwrap_err();
    assert!(error.contains("testSecret: CredentialRejected"), "{error}");
}

/// The function's time limit is shorter than the time that the provider gives a new key.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_ready_in_time_is_said_to_be_that() {
    let scene = Scene::new(Setting {
        top: "ready_within = 60",
        timeout: Duration::from_secs(6),
        dialect: |store, asked| {
            let new = store.of(asked.bearer()).is_some_and(|key| key.name.starts_with("turnlock-"));
            if new && asked.path == "/keys/self" {
                return Reply::json(401, json!({}));
            }
            plain_dialect::http(store, asked)
        },
        ..Setting::default()
    })
    .await;
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("setSecret: CredentialRejected"), "{error}");
    assert!(error.contains("does not accept the new key yet") && error.contains("60 s"), "{error}");
}

/// A failed test of the previous key is no reason to hold up the promotion.
#[tokio::test(flavor = "multi_thread")]
async fn a_previous_key_whose_test_fails_is_left_alone_with_a_warning() {
    let scene = Scene::new(Setting {
        dialect: |store, asked| {
            let old = store.of(asked.bearer()).is_some_and(|key| key.name == "made by hand");
            if old && asked.path == "/keys/self" {
                return Reply::json(403, json!({}));
            }
            plain_dialect::http(store, asked)
        },
        ..Setting::default()
    })
    .await;
    let by_hand = scene.issuer.live();
    scene.world.rotate().await.unwrap();
    scene.world.rotate().await.unwrap();
    assert!(scene.world.output().contains("revoke it by hand"), "{}", scene.world.output());
    let mut expected = [scene.held("key"), by_hand].concat();
    expected.sort();
    assert_eq!(scene.issuer.live(), expected);
}

/// If a test cannot show an id, the old key is not sent to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_cannot_prove_an_id_is_not_made() {
    let tables = "[call.test]\npath = \"/keys/self\"\nauth = \"key\"\ncontrol = false\n";
    let scene = Scene::new(Setting { tables, ..Setting::default() }).await;
    scene.world.rotate().await.unwrap();
    let tests = || scene.issuer.count(&Method::GET, "/keys/self");
    let first = tests();
    scene.world.rotate().await.unwrap();
    assert_eq!(tests(), 2 * first, "the turn of the first key has one more");
    assert!(scene.world.output().contains("revoke it by hand"), "{}", scene.world.output());
}

/// A test call that accepts every key proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_accepts_a_made_up_key_proves_nothing() {
    let scene = Scene::new(Setting {
        dialect: |store, asked| match asked.path.as_str() {
            "/keys/self" => Reply::json(200, json!({})),
            _ => plain_dialect::http(store, asked),
        },
        ..Setting::default()
    })
    .await;
    let before = scene.world.current();
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("NotOurs") && error.contains("just made up"), "{error}");
    assert_eq!(scene.world.current(), before);
}

/// Somebody stored another key's id under the token of a rotation.
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_value_with_another_keys_id_is_not_promoted() {
    let scene = Scene::plain().await;
    let token = scene.world.begin().unwrap();
    let mut forged = scene.world.current();
    forged["id"] = "id-of-somebody-else".into();
    scene.world.lab.secrets().put(&scene.world.secret, &token, &forged.to_string(), &["AWSPENDING"]).unwrap();
    let error = scene.world.steps(&token).await.unwrap_err();
    assert!(error.contains("NotOurs") && error.contains("another id"), "{error}");
}
