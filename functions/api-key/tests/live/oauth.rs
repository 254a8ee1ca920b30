//! Refresh tokens: exchanged, kept in memory if they cannot be stored, and reported if they are lost.

use http::Method;
use lab::rotation::Step;
use lab::secrets::{At, Fault as StoreFault, What};
use serde_json::json;

use super::issuer::{Asked, Fault, Reply, Store};
use super::scene::{Scene, Setting};

/// A strict server: a refresh token works once, and a second use ends the grant (RFC 9700, section 4.14.2).
pub(crate) fn strict(store: &mut Store, asked: &Asked) -> Reply {
    login(store, asked, false)
}

/// A server with a grace period: the same refresh token gets the same answer again.
pub(crate) fn graceful(store: &mut Store, asked: &Asked) -> Reply {
    login(store, asked, true)
}

fn login(store: &mut Store, asked: &Asked, grace: bool) -> Reply {
    if asked.path == "/userinfo" {
        return match store.of(asked.bearer()) {
            Some(_) => Reply::json(200, json!({"sub": "app"})),
            None => Reply::json(401, json!({"error": "invalid_token"})),
        };
    }
    let refused = |error: &str| Reply::json(400, json!({"error": error}));
    if asked.basic() != ("app".to_owned(), "client-secret-0123456789".to_owned()) {
        return Reply::json(401, json!({"error": "invalid_client"}));
    }
    let sent = asked.form.get("refresh_token").cloned().unwrap_or_default();
    match store.notes.get(&sent).map(String::as_str) {
        Some("fresh") => {}
        Some("used") if !grace => {
            store.notes.clear();
            return refused("invalid_grant");
        }
        Some(answer) if grace => return Reply::json(200, serde_json::from_str(answer).unwrap()),
        _ => return refused("invalid_grant"),
    }
    let access = store.issue("access-{random}", "access token").value;
    let refresh = format!("refresh-{:032x}", rand::random::<u128>());
    let answer =
        json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600});
    store.notes.insert(sent, if grace { answer.to_string() } else { "used".to_owned() });
    store.notes.insert(refresh, "fresh".into());
    Reply::json(200, answer)
}

/// The refresh token that was made by hand.
const FIRST: &str = "refresh-token-made-by-hand";

/// A secret with a grant.
pub(crate) fn setting(dialect: super::issuer::Dialect) -> Setting<'static> {
    Setting {
        like: "oauth-refresh",
        dialect,
        fields: ("access_token", ""),
        more: json!({"refresh_token": FIRST, "client_id": "app", "client_secret": "client-secret-0123456789"}),
        ..Setting::default()
    }
}

/// Makes the grant known to the server.
pub(crate) fn grant(scene: &Scene) {
    scene.issuer.store().notes.insert(FIRST.into(), "fresh".into());
}

/// A server, and a secret with a grant that the server knows.
pub(crate) async fn scene(dialect: super::issuer::Dialect) -> Scene {
    let scene = Scene::new(setting(dialect)).await;
    grant(&scene);
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_servers_tokens_are_exchanged_three_times() {
    let scene = scene(strict).await;
    for round in 1..=3 {
        scene.world.rotate().await.unwrap_or_else(|error| panic!("rotation {round}: {error}"));
        let current = scene.world.current();
        assert!(scene.accepts(&current, "access_token"));
        assert_eq!(scene.issuer.store().notes[current["refresh_token"].as_str().unwrap()], "fresh");
    }
    assert_eq!(scene.issuer.count(&Method::POST, "/oauth/token"), 3);
    for token in scene.issuer.store().notes.keys() {
        assert!(!scene.world.output().contains(token.as_str()), "a refresh token was logged");
    }
}

/// The token is exchanged but cannot be stored. The next try stores the answer of the first exchange.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_could_not_be_stored_is_kept_for_the_next_try() {
    for kind in ["AccessDeniedException", "InvalidRequestException"] {
        let scene = scene(strict).await;
        let token = scene.world.begin().unwrap();
        let denied = What::FailBefore(kind.into(), 400);
        scene.world.lab.faults().set(vec![StoreFault::new(At::operation("PutSecretValue", 1), denied)]);
        scene.world.step(&token, Step::CreateSecret).await.unwrap_err();
        scene.world.steps(&token).await.unwrap();
        assert!(scene.accepts(&scene.world.current(), "access_token"));
        assert_eq!(scene.issuer.count(&Method::POST, "/oauth/token"), 1, "it was exchanged twice");
    }
}

/// A second secret beside the scene's, with a grant of its own.
fn second_secret(scene: &Scene) -> &'static str {
    let refresh = "another-refresh-token-made-by-hand";
    let access = scene.issuer.store().issue("access-{random}", "access token").value;
    scene.issuer.store().notes.insert(refresh.into(), "fresh".into());
    let value = json!({"provider": "mine", "access_token": access, "refresh_token": refresh, "client_id": "app",
        "client_secret": "client-secret-0123456789"});
    let secrets = scene.world.lab.secrets();
    secrets.create("prod/other", &value.to_string()).unwrap();
    secrets.enable_rotation("prod/other", "rotate-api-key").unwrap();
    "prod/other"
}

/// Callers choose tokens, so two secrets may be rotated with the same one.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_could_not_be_stored_goes_to_no_other_secret() {
    let scene = scene(strict).await;
    let other = second_secret(&scene);
    let token = scene.world.begin().unwrap();
    let denied = What::FailBefore("AccessDeniedException".into(), 400);
    scene.world.lab.faults().set(vec![StoreFault::new(At::operation("PutSecretValue", 1), denied)]);
    scene.world.step(&token, Step::CreateSecret).await.unwrap_err();
    let secrets = scene.world.lab.secrets();
    let same = json!({"SecretId": other, "ClientRequestToken": token});
    secrets.call("RotateSecret", same).unwrap();
    assert!(scene.world.lab.rotated(&token).await.succeeded());
    scene.world.steps(&token).await.unwrap();
    assert_eq!(scene.issuer.count(&Method::POST, "/oauth/token"), 2, "there are two grants");
    let theirs: serde_json::Value = serde_json::from_str(&secrets.value_of(other, &token).unwrap()).unwrap();
    let ours = scene.world.current();
    for field in ["access_token", "refresh_token"] {
        assert!(theirs[field] != ours[field], "both hold the same {field}");
    }
}

/// A function rotates many secrets, and several can fail to store their grants at once.
#[tokio::test(flavor = "multi_thread")]
async fn grants_that_could_not_be_stored_do_not_displace_each_other() {
    let scene = scene(strict).await;
    let other = second_secret(&scene);
    let (lab, ours) = (&scene.world.lab, scene.world.secret.as_str());
    let tokens = [ours, other].map(|secret| (secret, lab.secrets().begin_rotation(secret).unwrap()));
    let denied = || What::FailBefore("AccessDeniedException".into(), 400);
    lab.faults()
        .set([1, 2].map(|nth| StoreFault::new(At::operation("PutSecretValue", nth), denied())).to_vec());
    for (secret, token) in &tokens {
        lab.step(secret, token, Step::CreateSecret).await.unwrap_err();
    }
    for (secret, token) in &tokens {
        lab.step(secret, token, Step::CreateSecret).await.unwrap();
    }
    assert_eq!(scene.issuer.count(&Method::POST, "/oauth/token"), 2, "a grant was exchanged twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_made_good_within_a_grace_period() {
    let scene = scene(graceful).await;
    scene.issuer.fault(Method::POST, "/oauth/token", Fault::LoseAnswer);
    scene.world.rotate().await.unwrap();
    assert!(scene.accepts(&scene.world.current(), "access_token"));
}

/// This loss remains possible, and the error says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_strict_servers_lost_answer_is_an_error_that_says_what_to_do() {
    let scene = scene(strict).await;
    scene.issuer.fault(Method::POST, "/oauth/token", Fault::LoseAnswer);
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("CredentialRejected") && error.contains("authorise again"), "{error}");
    assert!(
        scene.accepts(&scene.world.current(), "access_token"),
        "the old access token lives on until it expires"
    );
}
