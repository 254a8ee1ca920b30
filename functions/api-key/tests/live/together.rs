//! Two at once: two createSecrets with one token, two live tokens, and keys that look like orphans but are not.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use lab::rotation::Step;
use lab::secrets::{At, Fault, Hook, What};
use rotate_api_key::names::Names;
use rotation::value::version::VersionId;
use serde_json::json;

use super::issuer::{Fault as Trouble, Held, Issuer};
use super::plain_dialect;
use super::scene::{Scene, Setting};

fn label(scene: &Scene, token: &str) -> String {
    let arn = scene.world.lab.secrets().arn(&scene.world.secret).unwrap();
    Names::new(&arn).label(&VersionId::new(token))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loser_of_two_create_secrets_revokes_its_own_key() {
    let scene = Scene::plain().await;
    let token = scene.world.begin().unwrap();
    let (hook, mut held) = Hook::hold();
    scene.world.lab.faults().set(vec![Fault::new(At::operation("PutSecretValue", 1), What::Before(hook))]);
    let second = async {
        held.reached().await.expect("the first one comes to its Put");
        scene.world.step(&token, Step::CreateSecret).await.unwrap();
        assert_eq!(scene.issuer.live().len(), 3, "the first key, and one of each");
        held.release();
    };
    let (first, ()) = tokio::join!(scene.world.step(&token, Step::CreateSecret), second);
    first.unwrap();
    let pending = scene.world.labelled("AWSPENDING").unwrap();
    assert!(scene.accepts(&pending, "key"), "the winner's key does not work");
    assert_eq!(scene.issuer.live().len(), 2, "the loser's key is alive");
    scene.world.steps(&token).await.unwrap();
    scene.only_held_keys_live("key");
}

/// If a Put is refused for good, the function revokes the key at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_be_stored_is_revoked_at_once() {
    let scene = Scene::plain().await;
    let denied = What::FailBefore("AccessDeniedException".into(), 400);
    scene.world.lab.faults().set(vec![Fault::new(At::operation("PutSecretValue", 1), denied)]);
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("AccessDenied"), "{error}");
    assert_eq!(scene.issuer.live().len(), 1, "a key is left behind");
}

/// The error says why the value could not be stored, because that has to be fixed. The failed revocation is only logged.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_fails_does_not_hide_why_the_key_could_not_be_stored() {
    let scene = Scene::plain().await;
    let denied = What::FailBefore("AccessDeniedException".into(), 400);
    scene.world.lab.faults().set(vec![Fault::new(At::operation("PutSecretValue", 1), denied)]);
    scene.issuer.fault(Method::DELETE, "/keys", Trouble::Status(403, Vec::new()));
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("AccessDenied") && !error.contains("403"), "{error}");
    assert!(scene.world.output().contains("refused [call.revoke] with HTTP 403"));
}

/// The secret keeps no id, so the function asks the service with the key itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_id_is_not_kept_is_revoked_at_once_too() {
    let tables = "[secret]\nkey = \"key\"\nadmin = [\"key\"]\n[call.issue]\nmethod = \"POST\"\npath = \"/keys\"\nauth = \"admin\"\n\
                  json = { name = \"{{label}}\" }\nstore = { key = \"/key\" }\n";
    let scene = Scene::new(Setting { tables, fields: ("key", ""), ..Setting::default() }).await;
    let denied = What::FailBefore("AccessDeniedException".into(), 400);
    scene.world.lab.faults().set(vec![Fault::new(At::operation("PutSecretValue", 1), denied)]);
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("AccessDenied"), "{error}");
    assert_eq!(scene.issuer.live().len(), 1, "a key is left behind");
}

/// The answer to the Put is lost. The value may be stored, so its key must stay valid.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_be_stored_is_kept() {
    let scene = Scene::plain().await;
    let token = scene.world.begin().unwrap();
    let unknown = What::FailAfter("InvalidRequestException".into(), 400);
    scene.world.lab.faults().set(vec![Fault::new(At::operation("PutSecretValue", 1), unknown)]);
    let _ = scene.world.step(&token, Step::CreateSecret).await;
    scene.world.lab.faults().clear();
    scene.world.steps(&token).await.unwrap();
    scene.only_held_keys_live("key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_rotation_that_was_given_up_is_revoked_by_the_next() {
    let scene = Scene::plain().await;
    let first = scene.world.begin().unwrap();
    for step in [Step::CreateSecret, Step::SetSecret, Step::TestSecret] {
        scene.world.step(&first, step).await.unwrap();
    }
    scene.world.lab.secrets().remove_label(&scene.world.secret, "AWSPENDING").unwrap();
    scene.world.rotate().await.unwrap();
    let late = scene.world.step(&first, Step::FinishSecret).await.unwrap_err().to_string();
    assert!(late.contains("NotRotatable"), "{late}");
    scene.only_held_keys_live("key");
}

/// An operation, the number of the call, and how it is held.
type Point = (&'static str, u64, fn(Hook) -> What);

/// A finishSecret pauses at each point at which it reads or moves labels. Meanwhile another rotation overtakes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_finish_revokes_nothing_that_a_faster_rotation_still_needs() {
    let scene = Scene::plain().await;
    scene.world.rotate().await.unwrap();
    let before = |hook| What::Before(hook);
    let after = |hook| What::After(hook);
    let points: [Point; 4] = [
        ("DescribeSecret", 1, before),
        ("DescribeSecret", 2, before),
        // The second look has read the old labels.
        ("DescribeSecret", 2, after),
        ("UpdateSecretVersionStage", 1, before),
    ];
    for (operation, nth, what) in points {
        let slow = scene.world.begin().unwrap();
        for step in [Step::CreateSecret, Step::SetSecret, Step::TestSecret] {
            scene.world.step(&slow, step).await.unwrap();
        }
        let (hook, mut held) = Hook::hold();
        scene.world.lab.faults().set(vec![Fault::new(At::operation(operation, nth), what(hook))]);
        let overtaking = async {
            held.reached().await.expect("the slow one comes this far");
            scene.world.lab.secrets().remove_label(&scene.world.secret, "AWSPENDING").unwrap();
            scene.world.rotate().await.unwrap();
            held.release();
        };
        let (outcome, ()) = tokio::join!(scene.world.step(&slow, Step::FinishSecret), overtaking);
        outcome.unwrap_err();
        scene.world.lab.faults().clear();
        scene.only_held_keys_live("key");
    }
}

/// The same right after pending's last login. An admin authorises here, so only the confirmed labels protect the key that has
/// just become AWSPREVIOUS.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_finish_retires_by_the_labels_it_has_confirmed() {
    let issuer = Issuer::start(plain_dialect::http).await;
    let admin = issuer.store().issue("admin-{random}", "admin").value;
    let scene =
        Scene::around(issuer, Setting { admin: Some(json!({"key": admin})), ..Setting::default() }).await;
    scene.world.rotate().await.unwrap();
    let slow = scene.world.begin().unwrap();
    for step in [Step::CreateSecret, Step::SetSecret, Step::TestSecret] {
        scene.world.step(&slow, step).await.unwrap();
    }
    let held = Arc::new(Held::default());
    scene.issuer.fault(Method::GET, "/keys/self", Trouble::Delay(Duration::ZERO));
    scene.issuer.fault(Method::GET, "/keys/self", Trouble::Hold(Arc::clone(&held)));
    let overtaking = async {
        held.reached.notified().await;
        scene.world.lab.secrets().remove_label(&scene.world.secret, "AWSPENDING").unwrap();
        scene.world.rotate().await.unwrap();
        held.release.notify_one();
    };
    let (outcome, ()) = tokio::join!(scene.world.step(&slow, Step::FinishSecret), overtaking);
    outcome.unwrap_err();
    let mut expected = scene.held("key");
    expected.push(admin);
    expected.sort();
    assert_eq!(scene.issuer.live(), expected);
}

/// A key under this token's label stays valid as long as somebody may still store it. After that it is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn only_old_leftovers_go_before_a_new_key_is_made() {
    let scene = Scene::plain().await;
    let token = scene.world.begin().unwrap();
    let label = label(&scene, &token);
    let (old, young) = {
        let mut store = scene.issuer.store();
        let (old, young) = (store.issue("{random}", &label), store.issue("{random}", &label));
        let at = store.keys.iter().position(|key| key.id == old.id).unwrap();
        store.keys[at].created -= 3600;
        (old, young)
    };
    scene.world.step(&token, Step::CreateSecret).await.unwrap();
    assert!(scene.issuer.store().of(&old.value).is_none(), "an hour old, and still there");
    assert!(scene.issuer.store().of(&young.value).is_some(), "somebody may be about to store it");
    scene.world.steps(&token).await.unwrap();
    scene.only_held_keys_live("key");
}

/// A version with a label that the rotation did not set keeps its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_version_keeps_its_key() {
    let scene = Scene::plain().await;
    scene.world.rotate().await.unwrap();
    let pinned = scene.world.lab.secrets().version_with(&scene.world.secret, "AWSCURRENT").unwrap();
    scene.world.lab.secrets().move_label(&scene.world.secret, "BLUE", Some(&pinned)).unwrap();
    for _ in 0..3 {
        scene.world.rotate().await.unwrap();
    }
    let blue = scene.world.labelled("BLUE").unwrap();
    assert!(scene.accepts(&blue, "key"));
    scene.world.lab.secrets().move_label(&scene.world.secret, "BLUE", None).unwrap();
    scene.world.rotate().await.unwrap();
    scene.only_held_keys_live("key");
    assert_eq!(scene.issuer.count(&Method::POST, "/keys"), 5);
}

/// A service with idempotency keys answers every try with the same key. So the function repeats a call without an answer, and
/// does not revoke a key that a later try may store.
#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_brings_one_key() {
    let issue = "[call.issue]\nmethod = \"POST\"\npath = \"/keys\"\nauth = \"admin\"\nheaders = { Idempotency-Key = \"{{idempotency}}\" }\n\
                 json = { name = \"{{label}}\" }\nstore = { key = \"/key\", id = \"/id\" }\n";
    let scene =
        Scene::new(Setting { dialect: plain_dialect::idempotent, tables: issue, ..Setting::default() }).await;
    scene.issuer.fault(Method::POST, "/keys", Trouble::LoseAnswer);
    let token = scene.world.begin().unwrap();
    let denied = What::FailBefore("AccessDeniedException".into(), 400);
    let (hook, mut held) = Hook::hold();
    scene.world.lab.faults().set(vec![
        Fault::new(At::operation("PutSecretValue", 1), denied),
        Fault::new(At::operation("PutSecretValue", 2), What::Before(hook)),
    ]);
    scene.world.step(&token, Step::CreateSecret).await.unwrap_err();
    assert_eq!(scene.issuer.live().len(), 2, "one new key, kept for the next try");
    let second = async {
        held.reached().await.expect("the first one comes to its Put");
        scene.world.step(&token, Step::CreateSecret).await.unwrap();
        held.release();
    };
    let (first, ()) = tokio::join!(scene.world.step(&token, Step::CreateSecret), second);
    first.unwrap();
    assert_eq!(scene.issuer.live().len(), 2, "still one");
    scene.world.steps(&token).await.unwrap();
    scene.only_held_keys_live("key");
}
