//! A secret that somebody else has written. It can revoke no key but its own, and reach no host but the provider's.

use http::Method;
use serde_json::json;

use super::dialect::{self, ADMIN, APPLICATION};
use super::issuer::{Asked, Issuer, Reply, Store};
use super::plain_dialect;
use super::scene::{Scene, Setting, admin};

/// Every version that will be revoked names the id of somebody else's key.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_id_revokes_nothing() {
    let scene = Scene::plain().await;
    let victim = scene.issuer.store().issue("victim-{random}", "production");
    for round in 0..3 {
        let mut forged = scene.world.current();
        forged["id"] = victim.id.clone().into();
        scene
            .world
            .lab
            .secrets()
            .put(
                &scene.world.secret,
                &format!("forged-version-with-a-long-token-{round}"),
                &forged.to_string(),
                &[],
            )
            .unwrap();
        scene.world.rotate().await.unwrap();
        scene.world.rotate().await.unwrap();
    }
    assert!(scene.issuer.store().of(&victim.value).is_some(), "the victim's key was revoked");
    assert!(!scene.issuer.store().revoked.contains(&victim.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_id_revokes_nothing_where_only_labels_prove() {
    let scene = Scene::new(Setting {
        like: "datadog",
        dialect: dialect::datadog,
        fields: ("api_key", "api_key_id"),
        admin: Some(json!({"api_key": ADMIN, "app_key": APPLICATION})),
        ..Setting::default()
    })
    .await;
    let victim = scene.issuer.store().issue("{random}", "production");
    let mut forged = scene.world.current();
    forged["api_key_id"] = victim.id.clone().into();
    scene
        .world
        .lab
        .secrets()
        .put(&scene.world.secret, "forged-version-with-a-long-token", &forged.to_string(), &[])
        .unwrap();
    for _ in 0..3 {
        scene.world.rotate().await.unwrap();
    }
    assert!(scene.issuer.store().of(&victim.value).is_some(), "the victim's key was revoked");
}

/// The access token is the key with which the caller logs in.
fn behind_a_login(store: &mut Store, asked: &Asked) -> Reply {
    if asked.path == "/token" {
        let (user, password) = asked.basic();
        return match store.of(&password).filter(|key| key.id == user) {
            Some(key) => Reply::json(200, json!({"access_token": key.value})),
            None => Reply::json(401, json!({})),
        };
    }
    plain_dialect::http(store, asked)
}

const BEHIND_A_LOGIN: &str = r#"
[secret]
key = "key"
id = "id"
admin = ["id", "key"]
[auth.login]
basic = { user = "{{admin.id}}", password = "{{admin.key}}" }
[auth.access]
headers = { Authorization = "Bearer {{access}}" }
[call.token]
method = "POST"
path = "/token"
auth = "login"
token = "/access_token"
repeat = true
[call.issue]
method = "POST"
path = "/keys"
auth = "access"
json = { name = "{{label}}" }
store = { key = "/key", id = "/id" }
[call.test]
path = "/keys/self"
auth = "access"
id = "/id"
[call.list]
path = "/keys"
query = { page = "{{page}}" }
auth = "access"
entries = "/keys"
id = "/id"
label = "/name"
[call.revoke]
method = "DELETE"
path = "/keys/{{id}}"
auth = "access"
"#;

/// The id in a test's answer is the key's only if the key itself made the call. Otherwise the admin's own key would be revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_tested_as_itself_and_never_as_the_admin() {
    let issuer = Issuer::start(behind_a_login).await;
    let boss = issuer.store().issue("admin-{random}", "admin");
    let setting = Setting {
        dialect: behind_a_login,
        admin: Some(json!({"id": boss.id, "key": boss.value})),
        tables: BEHIND_A_LOGIN,
        ..Setting::default()
    };
    let scene = Scene::around(issuer, setting).await;
    for _ in 0..3 {
        scene.world.rotate().await.unwrap();
    }
    let mut expected = scene.held("key");
    expected.push(boss.value);
    expected.sort();
    assert_eq!(scene.issuer.live(), expected);
}

/// AWSPREVIOUS claims to hold AWSCURRENT's key.
#[tokio::test(flavor = "multi_thread")]
async fn the_current_key_survives_a_previous_version_that_claims_it() {
    let scene = Scene::plain().await;
    scene.world.rotate().await.unwrap();
    let current = scene.world.current();
    let secrets = scene.world.lab.secrets();
    secrets
        .put(&scene.world.secret, "the-same-key-under-another-version", &current.to_string(), &[])
        .unwrap();
    scene.world.rotate().await.unwrap();
    let previous = scene.world.labelled("AWSPREVIOUS").unwrap();
    assert_eq!(previous["key"], current["key"]);
    assert!(scene.accepts(&previous, "key"), "the key that clients had until a moment ago was revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_and_hosts_in_fields_reach_nothing_else() {
    for (account, expected) in [
        ("../../../user/tokens", "HTTP 404"),
        ("acc1/tokens/x/../..", "HTTP 404"),
        ("@evil.example/", "HTTP 404"),
        ("https://evil.example/acc1", "HTTP 404"),
        ("acc1?x=", "HTTP 404"),
        ("..", "BadSecret"),
    ] {
        let scene = Scene::new(Setting {
            like: "cloudflare",
            dialect: dialect::cloudflare,
            fields: ("token", "token_id"),
            more: json!({"account_id": account, "policies": [{"effect": "allow"}]}),
            admin: admin("token"),
            ..Setting::default()
        })
        .await;
        let error = scene.world.rotate().await.unwrap_err();
        assert!(error.contains(expected), "{account}: {error}");
        for (_, path, status) in &scene.issuer.store().log {
            let segments: Vec<&str> = path.split('/').collect();
            assert!(
                segments.len() == 6 && segments[5] == "tokens" && *status == 404,
                "{account}: {path} {status}"
            );
        }
        assert_eq!(scene.issuer.live().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_can_only_name_providers_and_sites_that_exist() {
    for (field, value, part) in [
        ("site", "evil.example", "has no site"),
        ("provider", "../../../../etc/passwd", "is not a provider's name"),
        ("provider", "https://evil.example/x", "is not a provider's name"),
        ("provider", "nothing-of-this-name", "there is no provider"),
        ("engine", "postgres", "\"engine\" is not \"api-key\""),
        ("strategy", "single-user", "has no strategy"),
        ("key", "a\r\nX-Admin: yes", "characters that no header can carry"),
    ] {
        let scene = Scene::new(Setting { more: json!({field: value}), ..Setting::default() }).await;
        let error = scene.world.rotate().await.unwrap_err();
        assert!(error.contains("BadSecret") && error.contains(part), "{field}: {error}");
        assert_eq!(scene.issuer.count(&Method::POST, ""), 0, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_secret_is_used_only_for_what_it_lists() {
    let setting = |project: &str| Setting {
        like: "openai",
        dialect: dialect::openai,
        fields: ("api_key", "service_account_id"),
        more: json!({"project_id": project}),
        admin: Some(json!({"admin_key": ADMIN, "only": {"project_id": ["proj_1"]}})),
        ..Setting::default()
    };
    Scene::new(setting("proj_1")).await.world.rotate().await.unwrap();
    let scene = Scene::new(setting("proj_2")).await;
    let error = scene.world.rotate().await.unwrap_err();
    assert!(
        error.contains("NotOurs") && error.contains("may not be used for this \"project_id\""),
        "{error}"
    );
    assert!(scene.issuer.store().log.is_empty());
}
