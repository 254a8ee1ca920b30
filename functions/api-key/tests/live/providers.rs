//! Three rotations with every built-in provider, each against a service that behaves as its documentation says.

use lab::secrets::Refusal;
use serde_json::json;

use super::dialect::{self, ADMIN, APPLICATION};
use super::scene::{Scene, Setting, admin};

/// Whether the first key, made by hand, can be proven to be the secret's, and is revoked in its turn.
enum First {
    Proven,
    LeftAlone,
}

async fn rotate_three_times(setting: Setting<'_>, first: First) -> Result<(), Refusal> {
    let field = setting.fields.0.to_owned();
    let name = setting.like.to_owned();
    let scene = Scene::new(setting).await;
    let made_by_hand = scene.world.current()[&field].as_str().unwrap().to_owned();
    // A key of somebody else's, which must survive everything.
    let stranger = scene.issuer.store().issue("{random}", "somebody else's");
    for round in 1..=3 {
        let before = scene.world.current();
        scene
            .world
            .rotate()
            .await
            .unwrap_or_else(|error| panic!("{name}, rotation {round}: {error}\n{}", scene.world.output()));
        let (current, previous) = (scene.world.current(), scene.world.labelled("AWSPREVIOUS").unwrap());
        assert_ne!(current[&field], before[&field], "{name}");
        assert_eq!(previous[&field], before[&field], "{name}");
        assert_eq!(current["note"], json!({"kept": [1, 2.50]}), "{name}");
        assert!(
            scene.accepts(&current, &field) && scene.accepts(&previous, &field),
            "{name}, rotation {round}"
        );
    }
    let mut expected = scene.held(&field);
    expected.push(stranger.value);
    if matches!(first, First::LeftAlone) {
        assert!(scene.world.output().contains("revoke it by hand"), "{name} says nothing of the first key");
        expected.push(made_by_hand);
    }
    expected.sort();
    assert_eq!(scene.issuer.live(), expected, "{name}: what is alive at the end\n{}", scene.world.output());
    for secret in scene.issuer.live() {
        assert!(!scene.world.output().contains(&secret), "{name} has logged a key");
    }
    assert!(!scene.world.output().contains(ADMIN), "{name} has logged the admin's key");
    Ok(())
}

macro_rules! providers {
    ($($name:ident: $first:expr, $setting:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            rotate_three_times(Setting { dialect: dialect::$name, ..$setting }, $first).await.unwrap();
        }
    )*};
}

providers! {
    datadog: First::LeftAlone, Setting {
        like: "datadog", fields: ("api_key", "api_key_id"),
        admin: Some(json!({"api_key": ADMIN, "app_key": APPLICATION})), ..Setting::default()
    };
    sendgrid: First::LeftAlone, Setting {
        like: "sendgrid", fields: ("api_key", "api_key_id"), more: json!({"scopes": ["mail.send"]}),
        admin: admin("api_key"), ..Setting::default()
    };
    cloudflare: First::Proven, Setting {
        like: "cloudflare", fields: ("token", "token_id"),
        more: json!({"account_id": "acc1", "policies": [{"effect": "allow", "resources": {}}]}),
        admin: admin("token"), ..Setting::default()
    };
    gitlab: First::Proven, Setting {
        like: "gitlab", fields: ("token", "token_id"),
        more: json!({"project_id": "7", "scopes": ["read_api"], "access_level": 30}),
        admin: admin("token"), ..Setting::default()
    };
    confluent: First::Proven, Setting {
        like: "confluent", fields: ("api_secret", "api_key"), more: json!({"owner": "sa-1", "resource": "cloud"}),
        admin: Some(json!({"api_key": "ADMIN", "api_secret": ADMIN})), ..Setting::default()
    };
    atlas: First::Proven, Setting {
        like: "mongodb-atlas", fields: ("client_secret", "client_id"),
        more: json!({"org_id": "org1", "roles": ["ORG_READ_ONLY"], "hours": 8760}),
        admin: Some(json!({"client_id": "ADMIN", "client_secret": ADMIN})), ..Setting::default()
    };
    fastly: First::Proven, Setting {
        like: "fastly", fields: ("token", "token_id"),
        more: json!({"role": "engineer", "services": ["s1"], "scope": "global"}),
        admin: admin("token"), ..Setting::default()
    };
    newrelic: First::LeftAlone, Setting {
        like: "newrelic", fields: ("api_key", "api_key_id"), more: json!({"account_id": 1, "user_id": "2"}),
        ..Setting::default()
    };
    openai: First::LeftAlone, Setting {
        like: "openai", fields: ("api_key", "service_account_id"), more: json!({"project_id": "proj_1"}),
        admin: admin("admin_key"), ..Setting::default()
    };
    http: First::Proven, Setting::default();
}
