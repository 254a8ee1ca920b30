//! No key leaks: not into the function's output at its most verbose level, not into an error, however the service quotes it.

use http::Method;
use lab::leaks;
use lab::rotation::Step;
use serde_json::json;

use super::dialect::{self, ADMIN, APPLICATION, error};
use super::issuer::{Asked, Fault, Reply, Store};
use super::oauth;
use super::plain_dialect;
use super::scene::{Scene, Setting, admin};

/// The most verbose logging.
const TALKATIVE: &[(&str, &str)] = &[("RUST_LOG", "trace")];

/// Searches for every key of every version and of the service, for the admin's, and for these other secrets.
#[track_caller]
fn absent(scene: &Scene, more: &[&str], error: &str) {
    let values = scene.world.values();
    let fields = ["key", "api_key", "access_token", "refresh_token", "client_secret"];
    let held = values.iter().flat_map(|value| fields.iter().filter_map(|field| value[*field].as_str()));
    let made: Vec<String> = scene.issuer.live();
    let secrets: Vec<&str> =
        held.chain(made.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    assert!(secrets.len() > more.len(), "there was nothing to look for");
    let output = scene.world.output();
    leaks::absent(&secrets, &[("the output", output.as_bytes()), ("the error", error.as_bytes())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_in_the_output_of_a_rotation() {
    let settings = [
        Setting { admin: admin("key"), dialect: with_admin, env: TALKATIVE, ..Setting::default() },
        Setting {
            like: "datadog",
            dialect: dialect::datadog,
            fields: ("api_key", "api_key_id"),
            admin: Some(json!({"api_key": ADMIN, "app_key": APPLICATION})),
            env: TALKATIVE,
            ..Setting::default()
        },
    ];
    for setting in settings {
        let scene = Scene::new(setting).await;
        for _ in 0..3 {
            scene.world.rotate().await.unwrap();
        }
        absent(&scene, &[ADMIN, APPLICATION], "");
        let output = scene.world.output();
        assert!(
            output.contains("the step is done") && output.contains("\"RotationSucceeded\":1"),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_in_the_output_of_an_exchange() {
    let (refresh, client) = ("refresh-token-made-by-hand", "client-secret-0123456789");
    let scene = Scene::new(Setting {
        like: "oauth-refresh",
        dialect: oauth::strict,
        fields: ("access_token", ""),
        more: json!({"refresh_token": refresh, "client_id": "app", "client_secret": client}),
        env: TALKATIVE,
        ..Setting::default()
    })
    .await;
    scene.issuer.store().notes.insert(refresh.into(), "fresh".into());
    for _ in 0..2 {
        scene.world.rotate().await.unwrap();
    }
    // A refresh token that was used up. The service's own words say so.
    let token = scene.world.begin().unwrap();
    scene.issuer.store().notes.clear();
    let error = scene.world.step(&token, Step::CreateSecret).await.unwrap_err().to_string();
    absent(&scene, &[refresh, client], &error);
}

/// The plain conventions, with an admin who may do everything.
fn with_admin(store: &mut Store, asked: &Asked) -> Reply {
    if asked.bearer() != ADMIN {
        return plain_dialect::http(store, asked);
    }
    let first = store.keys[0].value.clone();
    let headers = [("authorization", format!("Bearer {first}"))];
    let headers = headers.iter().map(|(name, value)| {
        (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap())
    });
    let asked = Asked {
        method: asked.method.clone(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        headers: headers.collect(),
        json: asked.json.clone(),
        form: asked.form.clone(),
    };
    plain_dialect::http(store, &asked)
}

/// A service that uses the keys' values as their ids, and shows them.
fn frank(store: &mut Store, asked: &Asked) -> Reply {
    match (&asked.method, &asked.segments()[..]) {
        (&Method::GET, ["keys"]) => {
            let keys = store.keys.iter().map(|key| json!({"value": key.value, "name": key.name}));
            Reply::json(200, json!({"keys": keys.collect::<Vec<_>>()}))
        }
        (&Method::DELETE, ["keys", value]) => {
            let id = store.of(value).map(|key| key.id.clone());
            Reply::empty(if id.is_some_and(|id| store.revoke(&id)) { 204 } else { 404 })
        }
        _ => plain_dialect::http(store, asked),
    }
}

const FRANK: &str = r#"
[secret]
key = "key"
admin = ["key"]
[call.issue]
method = "POST"
path = "/keys"
auth = "admin"
json = { name = "{{label}}" }
store = { key = "/key" }
[call.test]
path = "/keys/self"
auth = "key"
[call.list]
path = "/keys"
auth = "admin"
entries = "/keys"
id = "/value"
key = "/value"
label = "/name"
"#;

/// The function knows this key from the list alone, because no version ever held it.
#[tokio::test(flavor = "multi_thread")]
async fn no_listed_key_is_in_the_output_that_tells_of_its_end() {
    let setting =
        Setting { dialect: frank, tables: FRANK, fields: ("key", ""), env: TALKATIVE, ..Setting::default() };
    let scene = Scene::new(setting).await;
    scene.issuer.fault(Method::POST, "/keys", Fault::LoseAnswer);
    let token = scene.world.begin().unwrap();
    let error = scene.world.steps(&token).await.unwrap_err();
    let orphans = scene.issuer.live();
    assert_eq!(orphans.len(), 2, "the first key and the one nobody knows");
    scene.world.steps(&token).await.unwrap();
    scene.only_held_keys_live("key");
    absent(&scene, &orphans.iter().map(String::as_str).collect::<Vec<_>>(), &error);
}

/// A service that makes a key, then refuses and quotes both the request and the new key.
fn quoting(store: &mut Store, asked: &Asked) -> Reply {
    if asked.method == Method::POST {
        let key = store.issue("{random}", "unknown to anybody");
        let (sent, made) = (asked.bearer(), &key.value);
        let encoded = aws_smithy_types::base64::encode(sent);
        return error(
            422,
            json!({"error": format!("no: {sent} {made} \"{sent}\" {encoded} {}", asked.json)}),
        );
    }
    plain_dialect::http(store, asked)
}

/// The file says where the reason is, so the function shows it.
const REASONED: &str = r#"
[call.issue]
method = "POST"
path = "/keys"
auth = "admin"
json = { name = "{{label}}", old = "{{key}}" }
store = { key = "/key", id = "/id" }
reason = "/error"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_in_an_error_that_quotes_it() {
    let scene =
        Scene::new(Setting { dialect: quoting, tables: REASONED, env: TALKATIVE, ..Setting::default() })
            .await;
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("no: [hidden]"), "the reason is not shown at all: {error}");
    absent(&scene, &[], &error);
}

/// The key comes back in headers and in a body that is not JSON: in a success, a failure and a redirect.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_in_an_error_whatever_the_answer_looks_like() {
    for status in [200, 302, 403, 418, 500] {
        let scene = Scene::new(Setting { env: TALKATIVE, ..Setting::default() }).await;
        let key = scene.world.current()["key"].as_str().unwrap().to_owned();
        let headers = vec![
            ("location", format!("https://elsewhere.example/?key={key}")),
            ("www-authenticate", key.clone()),
            ("retry-after", key.clone()),
        ];
        scene.issuer.fault(Method::POST, "/keys", Fault::Instead(status, headers, key.into_bytes()));
        let token = scene.world.begin().unwrap();
        let error = scene.world.step(&token, Step::CreateSecret).await.unwrap_err().to_string();
        absent(&scene, &[], &error);
    }
}
