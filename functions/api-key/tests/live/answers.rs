//! Answers that no service should give. Each causes a clear error without any secret in it, and the rotation can continue
//! afterwards.

use http::Method;
use serde_json::json;

use super::dialect::{self, ADMIN, APPLICATION};
use super::issuer::{Asked, Fault, Issuer, Reply, Store};
use super::plain_dialect;
use super::scene::{Scene, Setting};
use super::{builtin, graphql_dialect};

const POST: Method = Method::POST;
const GET: Method = Method::GET;

/// Breaks one answer and expects an error. Then the same token succeeds, and no key is left over.
async fn check(method: Method, path: &'static str, fault: Fault, expected: &[&str]) {
    let scene = Scene::plain().await;
    let shown = format!("{fault:?}").chars().take(80).collect::<String>();
    scene.issuer.fault(method, path, fault);
    let token = scene.world.begin().unwrap();
    let error = scene.world.steps(&token).await.unwrap_err();
    for part in expected {
        assert!(error.contains(part), "{shown}: expected {part:?} in: {error}");
    }
    assert_eq!(scene.issuer.faults_left(), 0, "{shown} was not met");
    scene.world.steps(&token).await.unwrap_or_else(|error| panic!("after {shown}: {error}"));
    scene.only_held_keys_live("key");
    for key in scene.issuer.live() {
        assert!(!scene.world.output().contains(&key), "{shown}: a key was logged");
    }
}

fn instead(body: impl Into<Vec<u8>>) -> Fault {
    Fault::Instead(200, Vec::new(), body.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_answer_is_cut_off() {
    check(POST, "/keys", instead(vec![b' '; 3 << 20]), &["ServerRefused", "larger than 1048576 bytes"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dripping_answer_is_given_up() {
    check(POST, "/keys", Fault::Drip, &["Unreachable", "gave up waiting for the answer", "another try"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_json_are_named() {
    let html = "<html>hello</html>";
    check(POST, "/keys", instead(html), &["ServerRefused", "the answer is not JSON"]).await;
    check(GET, "/keys/self", instead(html), &["ServerRefused", "the answer is not JSON"]).await;
    check(POST, "/keys", instead(""), &["the answer is not JSON"]).await;
    check(POST, "/keys", instead("[".repeat(100_000)), &["the answer is not JSON"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_types_are_named_by_their_place() {
    let body = |value: serde_json::Value| instead(value.to_string());
    check(POST, "/keys", body(json!({"key": ["k"], "id": "i"})), &["/key in the answer is not a text"]).await;
    check(POST, "/keys", body(json!({"id": "i"})), &["the new \"key\" is missing"]).await;
    check(POST, "/keys", body(json!({"key": "", "id": "i"})), &["the new \"key\" is missing"]).await;
    check(POST, "/keys", body(json!({"key": "a\r\nX: y", "id": "i"})), &["the new \"key\" is no key"]).await;
    check(POST, "/keys", body(json!({"key": "k".repeat(20_000), "id": "i"})), &["the new \"key\" is no key"])
        .await;
    check(POST, "/keys", body(json!([])), &["is missing"]).await;
    check(GET, "/keys/self", body(json!({"id": {}})), &["/id in the answer is not a text"]).await;
    check(GET, "/keys", body(json!({"keys": {}})), &["/keys in the answer is not a list"]).await;
    check(GET, "/keys", body(json!({"keys": [{"name": "n"}]})), &["a key in the list has no id"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let elsewhere = Issuer::start(plain_dialect::http).await;
    let location = format!("http://127.0.0.1:{}/keys", elsewhere.port);
    let redirect = |status| Fault::Status(status, vec![("location", location.clone())]);
    check(POST, "/keys", redirect(307), &["ServerRefused", "HTTP 307", "redirects are not followed"]).await;
    check(GET, "/keys/self", redirect(302), &["HTTP 302", "redirects are not followed"]).await;
    assert!(elsewhere.store().log.is_empty(), "somebody followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_never_ends_is_given_up() {
    let scene = Scene::new(Setting {
        tables: "[call.list]\npath = \"/keys\"\nquery = { after = \"{{cursor}}\" }\nauth = \"admin\"\nentries = \"/keys\"\nid = \"/id\"\nlabel = \"/name\"\nnext = \"/next\"\n",
        dialect: |store, asked| {
            let mut reply = plain_dialect::http(store, asked);
            if asked.method == GET && asked.path == "/keys" {
                let page = store.log.len();
                reply.body = json!({"keys": [], "next": format!("page {page}")}).to_string().into_bytes();
            }
            reply
        },
        ..Setting::default()
    })
    .await;
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("ServerRefused") && error.contains("more than 100 pages"), "{error}");
}

/// The service does not know pages, and answers each number with the same list.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_pages_ends_with_the_first() {
    let scene = Scene::new(Setting {
        dialect: |store, asked| {
            let mut reply = plain_dialect::http(store, asked);
            if asked.method == GET && asked.path == "/keys" {
                let keys = store.keys.iter();
                let keys: Vec<_> = keys
                    .map(|key| json!({"id": key.id, "name": key.name, "created_at": key.created}))
                    .collect();
                reply.body = json!({"keys": keys}).to_string().into_bytes();
            }
            reply
        },
        ..Setting::default()
    })
    .await;
    for _ in 0..3 {
        scene.world.rotate().await.unwrap();
    }
    scene.only_held_keys_live("key");
    assert_eq!(scene.issuer.count(&Method::DELETE, "/keys"), 2, "a key was revoked twice");
}

/// The service limits its pages itself, so a page with fewer keys than requested is not the last one.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_to_its_end_whatever_the_size_of_its_pages() {
    let scene = Scene::new(Setting {
        dialect: |store, asked| {
            let mut reply = dialect::fastly(store, asked);
            if asked.method == GET && asked.path == "/automation-tokens" {
                let keys = dialect::page(store, asked, "page", 2, 1).iter();
                let keys: Vec<_> = keys.map(|key| json!({"id": key.id, "name": key.name})).collect();
                reply.body = json!({"data": keys}).to_string().into_bytes();
            }
            reply
        },
        ..builtin::setting("fastly")
    })
    .await;
    let strangers = [0, 1].map(|_| scene.issuer.store().issue("{random}", "somebody else's").value);
    scene.issuer.fault(POST, "/automation-tokens", Fault::LoseAnswer);
    let token = scene.world.begin().unwrap();
    scene.world.steps(&token).await.unwrap_err();
    scene.world.steps(&token).await.unwrap();
    let mut expected = [scene.held("token"), strangers.to_vec()].concat();
    expected.sort();
    assert_eq!(scene.issuer.live(), expected, "what a lost answer left is on the second page");
}

/// GraphQL answers HTTP 200 even with errors: at the top if it did nothing, inside if it did something else.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_body_of_http_200_is_a_refusal() {
    fn stubborn(store: &mut Store, asked: &Asked) -> Reply {
        let deletes = asked.json["query"].as_str().is_some_and(|query| query.contains("apiAccessDeleteKeys"));
        match store.notes.get("answer") {
            Some(answer) if deletes => Reply::json(200, serde_json::from_str(answer).unwrap()),
            _ => graphql_dialect::newrelic(store, asked),
        }
    }
    let top = json!({"data": null, "errors": [{"message": "not allowed today"}]});
    let inside = json!({"data": {"apiAccessDeleteKeys": {"deletedKeys": [], "errors": [{"message": "not allowed today"}]}}});
    for answer in [top, inside] {
        let scene = Scene::new(Setting { dialect: stubborn, ..builtin::setting("newrelic") }).await;
        scene.world.rotate().await.unwrap();
        scene.world.rotate().await.unwrap();
        scene.issuer.store().notes.insert("answer".into(), answer.to_string());
        let token = scene.world.begin().unwrap();
        let error = scene.world.steps(&token).await.unwrap_err();
        assert!(error.contains("refused [call.revoke] in its answer: not allowed today"), "{error}");
        scene.issuer.store().notes.clear();
        scene.world.steps(&token).await.unwrap();
        // Also the first key, made by hand: nothing proves whose it is.
        assert_eq!(scene.issuer.live().len(), 3);
    }
}

/// The service repeats the request, and a key that nobody knew before.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_quotes_the_request_or_a_new_key_shows_no_secret() {
    let scene = Scene::new(Setting {
        like: "datadog",
        dialect: dialect::datadog,
        fields: ("api_key", "api_key_id"),
        admin: Some(json!({"api_key": ADMIN, "app_key": APPLICATION})),
        ..Setting::default()
    })
    .await;
    let new = "brand-new-key-that-nobody-has-seen-0123";
    let current = scene.world.current()["api_key"].as_str().unwrap().to_owned();
    let reason = format!("bad\nname for {ADMIN} with {APPLICATION} or {current}, take {new} instead");
    scene.issuer.fault(
        POST,
        "/api_keys",
        Fault::Instead(400, Vec::new(), json!({"errors": [reason]}).to_string().into_bytes()),
    );
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("HTTP 400: bad name for [hidden] with [hidden]"), "{error}");
    for text in [error, scene.world.output()] {
        for secret in [ADMIN, APPLICATION, &current, new] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
