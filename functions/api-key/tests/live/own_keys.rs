//! Keys that the function makes: put to a service, put over the only key, or used by no service.

use std::sync::Arc;

use http::Method;
use lab::proxy::{Protocol, Proxy};
use lab::rotation::Step;
use lab::secrets::{At, Fault as StoreFault, What};
use lab::world::World;
use serde_json::{Value, json};

use super::issuer::{Asked, Fault, Held, Issuer, Key, Reply, Store};
use super::scene::{Scene, Setting, provider_folder};

/// A service to which a caller can put keys under names of its choice.
fn registry(store: &mut Store, asked: &Asked) -> Reply {
    let Some(_) = store.of(asked.bearer()) else { return Reply::json(401, json!({})) };
    match (&asked.method, &asked.segments()[..]) {
        (&Method::GET, ["whoami"]) => Reply::json(200, json!({})),
        (&Method::PUT, ["keys", name]) => {
            let value = asked.json["value"].as_str().unwrap().to_owned();
            let name = (*name).to_owned();
            store.keys.retain(|key| key.name != name);
            store.keys.push(Key { id: name.clone(), value, name, created: 0 });
            Reply::empty(204)
        }
        (&Method::GET, ["keys"]) => {
            let keys: Vec<Value> =
                store.keys.iter().map(|key| json!({"id": key.id, "name": key.name})).collect();
            Reply::json(200, json!({"keys": keys}))
        }
        (&Method::DELETE, ["keys", name]) if store.revoke(name) => Reply::empty(204),
        _ => Reply::empty(404),
    }
}

/// A service with one key.
fn slot(store: &mut Store, asked: &Asked) -> Reply {
    let Some(caller) = store.of(asked.bearer()).cloned() else { return Reply::json(401, json!({})) };
    match (&asked.method, asked.path.as_str()) {
        (&Method::GET, "/whoami") => Reply::json(200, json!({})),
        (&Method::PUT, "/key") => {
            let value = asked.json["value"].as_str().unwrap().to_owned();
            store.keys = vec![Key { value, ..caller }];
            Reply::empty(204)
        }
        _ => Reply::empty(404),
    }
}

const REGISTRY: &str = r#"
[secret]
key = "key"
admin = ["key"]
[auth.key]
headers = { Authorization = "Bearer {{key}}" }
[auth.admin]
headers = { Authorization = "Bearer {{admin.key}}" }
[make]
length = 48
[call.put]
method = "PUT"
path = "/keys/{{label}}"
auth = "admin"
json = { value = "{{key}}" }
[call.test]
path = "/whoami"
auth = "key"
[call.list]
path = "/keys"
auth = "admin"
entries = "/keys"
id = "/id"
label = "/name"
[call.revoke]
method = "DELETE"
path = "/keys/{{id}}"
auth = "admin"
"#;

const SLOT: &str = r#"
[secret]
key = "key"
[auth.key]
headers = { Authorization = "Bearer {{key}}" }
[auth.current]
headers = { Authorization = "Bearer {{key}}" }
[call.put]
method = "PUT"
path = "/key"
auth = "current"
json = { value = "{{key}}" }
[call.test]
path = "/whoami"
auth = "key"
"#;

/// A service whose keys an admin's key manages.
pub(crate) async fn registry_scene() -> Scene {
    let issuer = Issuer::start(registry).await;
    let port = issuer.port;
    registry_scene_at(issuer, port).await
}

/// The same with a proxy between the function and the service.
pub(crate) async fn registry_scene_behind_a_proxy() -> std::io::Result<(Scene, Arc<Proxy>)> {
    let issuer = Issuer::start(registry).await;
    let proxy = Arc::new(Proxy::start(Protocol::Http, "127.0.0.1", issuer.port).await?);
    let port = proxy.port();
    Ok((registry_scene_at(issuer, port).await, proxy))
}

async fn registry_scene_at(issuer: Issuer, port: u16) -> Scene {
    let admin = issuer.store().issue("admin-{random}", "admin").value;
    let text = format!("name = \"mine\"\n[servers]\napi = \"http://127.0.0.1:{port}\"\n{REGISTRY}");
    let scene = Scene::around(
        issuer,
        Setting { fields: ("key", ""), admin: Some(json!({"key": admin})), ..Setting::default() },
    )
    .await;
    scene.rewrite(&text);
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_stored_before_it_is_put() {
    let scene = registry_scene().await;
    let by_hand = scene.issuer.live();
    // The first answer to the put is lost. Putting the key again changes nothing.
    scene.issuer.fault(Method::PUT, "/keys", Fault::LoseAnswer);
    for _ in 0..3 {
        scene.world.lab.clear_calls();
        scene.world.rotate().await.unwrap();
        assert!(scene.accepts(&scene.world.current(), "key"));
        assert_eq!(scene.world.current()["key"].as_str().unwrap().len(), 48);
    }
    // Two calls more than if the service makes the key: setSecret reads the labels again before the put, and once more after it.
    assert_eq!(scene.world.lab.calls().len(), 19, "{:#?}", scene.world.lab.calls());
    let mut expected = scene.held("key");
    // The function may not revoke the admin's key here, and nothing proves whose key the one made by hand is.
    expected.extend(by_hand);
    expected.sort();
    assert_eq!(scene.issuer.live(), expected);
}

/// A setSecret pauses in its put. Its twin finishes the rotation, and another rotation follows. By then the key that was put
/// belongs to AWSPREVIOUS.
#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_put_leaves_the_key_of_a_version_with_a_label_alone() {
    let scene = registry_scene().await;
    let token = scene.world.begin().unwrap();
    scene.world.step(&token, Step::CreateSecret).await.unwrap();
    let held = Arc::new(Held::default());
    scene.issuer.fault(Method::PUT, "/keys", Fault::Hold(Arc::clone(&held)));
    let overtaking = async {
        held.reached.notified().await;
        scene.world.steps(&token).await.unwrap();
        scene.world.rotate().await.unwrap();
        held.release.notify_one();
    };
    let (slow, ()) = tokio::join!(scene.world.step(&token, Step::SetSecret), overtaking);
    assert!(slow.unwrap_err().to_string().contains("Conflict"));
    let previous = scene.world.labelled("AWSPREVIOUS").unwrap();
    assert!(scene.accepts(&previous, "key"), "the key of AWSPREVIOUS was revoked");
}

/// The put replaces the only key. It would need the old key, which the pending version does not have, so the file has to name an
/// admin.
#[tokio::test(flavor = "multi_thread")]
async fn an_only_key_that_nobody_else_may_replace_fails_without_harm() {
    let issuer = Issuer::start(slot).await;
    let port = issuer.port;
    let scene = Scene::around(issuer, Setting { fields: ("key", ""), ..Setting::default() }).await;
    scene.rewrite(&format!("name = \"mine\"\noverlap = false\nrevoke = \"never\"\n[servers]\napi = \"http://127.0.0.1:{port}\"\n{SLOT}"));
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("CredentialRejected"), "{error}");
    assert!(scene.accepts(&scene.world.current(), "key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_secret_is_new_three_times_as_json_and_as_plain_text() {
    let world =
        World::new("rotate-api-key", &[], &json!({"provider": "random", "key": "first", "for": "webhooks"}))
            .await
            .unwrap();
    for _ in 0..3 {
        let before = world.current();
        world.rotate().await.unwrap();
        assert_ne!(world.current()["key"], before["key"]);
        assert_eq!(world.current()["for"], "webhooks");
        assert_eq!(world.labelled("AWSPREVIOUS").unwrap(), before);
    }
    let plain = World::new("rotate-api-key", &[("PROVIDER", "random")], &json!("x")).await.unwrap();
    let secrets = plain.lab.secrets();
    secrets.put(&plain.secret, "a-plain-text-that-is-not-json-at-all", "just-a-word", &[]).unwrap();
    for _ in 0..3 {
        plain.rotate().await.unwrap();
        let text = secrets.value(&plain.secret, "AWSCURRENT").unwrap();
        assert!(text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        assert!(!plain.output().contains(&text));
    }
}

/// The deployment's password rules apply to keys that the function makes, in addition to the rules in the file.
#[tokio::test(flavor = "multi_thread")]
async fn excluded_characters_do_not_bring_punctuation_back() {
    let env = [("PROVIDER", "random"), ("EXCLUDE_CHARACTERS", "abcdef")];
    let plain = World::new("rotate-api-key", &env, &json!("x")).await.unwrap();
    plain.rotate().await.unwrap();
    let text = plain.lab.secrets().value(&plain.secret, "AWSCURRENT").unwrap();
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
    assert!(!text.contains(['a', 'b', 'c', 'd', 'e', 'f']), "{text}");
}

/// The service makes the keys, so the deployment's password rules do not apply.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_for_passwords_does_not_fail_the_test_of_an_issued_key() {
    let env = &[("PASSWORD_LENGTH", "12"), ("EXCLUDE_NUMBERS", "true")];
    let scene = Scene::new(Setting { env, ..Setting::default() }).await;
    scene.world.rotate().await.unwrap();
    scene.only_held_keys_live("key");
}

/// A service whose keys revoke themselves, and which has no list.
fn self_revoking(store: &mut Store, asked: &Asked) -> Reply {
    match store.of(asked.bearer()).map(|key| key.id.clone()) {
        Some(id) if asked.method == Method::DELETE && store.revoke(&id) => Reply::empty(204),
        _ => super::plain_dialect::http(store, asked),
    }
}

const SELF_REVOKING: &str = r#"
[secret]
key = "key"
[auth.key]
headers = { Authorization = "Bearer {{key}}" }
[call.issue]
method = "POST"
path = "/keys"
auth = "key"
json = { name = "{{label}}" }
store = { key = "/key" }
[call.test]
path = "/keys/self"
auth = "key"
[call.revoke]
method = "DELETE"
path = "/keys/self"
auth = "key"
"#;

/// A crash between the revocation and the promotion. The next try finds a key that can no longer revoke itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_revoked_itself_is_gone_and_no_obstacle() {
    let issuer = Issuer::start(self_revoking).await;
    let port = issuer.port;
    let setting = Setting { dialect: self_revoking, fields: ("key", ""), ..Setting::default() };
    let scene = Scene::around(issuer, setting).await;
    scene.rewrite(&format!("name = \"mine\"\n[servers]\napi = \"http://127.0.0.1:{port}\"\n{SELF_REVOKING}"));
    scene.world.rotate().await.unwrap();
    let token = scene.world.begin().unwrap();
    let denied = What::FailBefore("AccessDeniedException".into(), 400);
    let faults = vec![StoreFault::new(At::operation("UpdateSecretVersionStage", 1), denied)];
    scene.world.lab.faults().set(faults);
    scene.world.steps(&token).await.unwrap_err();
    scene.world.steps(&token).await.unwrap();
    scene.only_held_keys_live("key");
    // A key that cannot be found again is not promised to be found.
    scene.issuer.fault(Method::POST, "/keys", Fault::LoseAnswer);
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("is not known whether") && error.contains("no later try finds"), "{error}");
}

/// A service that allows one key.
fn single(store: &mut Store, asked: &Asked) -> Reply {
    let admin = asked.bearer() == super::dialect::ADMIN;
    match (&asked.method, &asked.segments()[..]) {
        (&Method::GET, ["keys", "self"]) => match store.of(asked.bearer()) {
            Some(key) => Reply::json(200, json!({"id": key.id})),
            None => Reply::json(401, json!({})),
        },
        (&Method::POST, ["keys"]) if admin && store.keys.is_empty() => {
            let key = store.issue("{random}", asked.json["name"].as_str().unwrap());
            Reply::json(201, json!({"id": key.id, "key": key.value}))
        }
        (&Method::POST, _) => Reply::json(409, json!({})),
        (&Method::GET, ["keys"]) if asked.query["page"] == "1" => {
            let keys: Vec<Value> =
                store.keys.iter().map(|key| json!({"id": key.id, "name": key.name})).collect();
            Reply::json(200, json!({"keys": keys}))
        }
        (&Method::GET, _) => Reply::json(200, json!({"keys": []})),
        (&Method::DELETE, ["keys", id]) if admin && store.revoke(id) => Reply::empty(204),
        _ => Reply::empty(404),
    }
}

/// A secret for this service, with an admin's key, because the current key is revoked before a new one is made.
pub(crate) async fn one_key_scene() -> Scene {
    Scene::new(Setting {
        dialect: single,
        admin: super::scene::admin("key"),
        top: "overlap = false\nrevoke = \"current\"",
        ..Setting::default()
    })
    .await
}

/// The current key is revoked before there is a new one, so clients are refused in between.
#[tokio::test(flavor = "multi_thread")]
async fn where_one_key_is_allowed_the_current_one_goes_first() {
    let scene = one_key_scene().await;
    for _ in 0..3 {
        scene.world.rotate().await.unwrap();
        assert_eq!(scene.issuer.live(), [scene.world.current()["key"].as_str().unwrap()]);
    }
    // A crash between issuing and storing leaves the only place occupied. The next try makes room.
    scene.issuer.fault(Method::POST, "/keys", Fault::LoseAnswer);
    let token = scene.world.begin().unwrap();
    scene.world.steps(&token).await.unwrap_err();
    scene.world.steps(&token).await.unwrap();
    assert_eq!(scene.issuer.live(), [scene.world.current()["key"].as_str().unwrap()]);
}

/// A user's own provider for plain strings. The key itself is its test.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_string_is_enough_where_the_provider_needs_nothing_else() {
    let issuer = Issuer::start(super::plain_dialect::http).await;
    let first = issuer.store().issue("first-{random}", "made by hand").value;
    let folder = provider_folder(&format!(
        "name = \"mine\"\nlike = \"http\"\n[servers]\napi = \"http://127.0.0.1:{}\"\n[secret]\nkey = \"key\"\nadmin = [\"key\"]\n\
         [call.issue]\nmethod = \"POST\"\npath = \"/keys\"\nauth = \"admin\"\njson = {{ name = \"{{{{label}}}}\" }}\nstore = {{ key = \"/key\" }}\n",
        issuer.port
    ));
    let env = [
        ("PROVIDERS_DIR", folder.path().to_str().unwrap()),
        ("ALLOW_PRIVATE_ADDRESSES", "true"),
        ("PROVIDER", "mine"),
    ];
    let world = World::new("rotate-api-key", &env, &json!("x")).await.unwrap();
    let secrets = world.lab.secrets();
    secrets.put(&world.secret, "the-first-key-as-a-plain-text-value", &first, &[]).unwrap();
    for _ in 0..3 {
        world.rotate().await.unwrap();
    }
    let mut held = ["AWSCURRENT", "AWSPREVIOUS"].map(|label| secrets.value(&world.secret, label).unwrap());
    held.sort();
    assert_eq!(issuer.live(), held);
}
