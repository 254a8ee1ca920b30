//! The built-in providers and their stand-ins, for tests that every one of them has to pass.

use http::{Method, Request};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rotate_api_key::provider::{BUILTIN, Provider};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::dialect::{self, ADMIN, APPLICATION};
use super::graphql_dialect;
use super::scene::{Setting, admin};

/// Makes a test of each provider whose old key keeps working, from a function that takes the provider's name.
macro_rules! each_overlapping_provider {
    ($check:path) => {
        super::builtin::each_overlapping_provider! { $check;
            cloudflare "cloudflare", confluent "confluent", datadog "datadog", fastly "fastly", gitlab "gitlab",
            http "http", mongodb_atlas "mongodb-atlas", newrelic "newrelic", openai "openai", sendgrid "sendgrid"
        }
    };
    ($check:path; $($test:ident $name:literal),*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $check($name).await;
            }
        )*

        #[test]
        fn no_provider_is_left_out() {
            assert_eq!(super::builtin::overlapping(), [$($name),*]);
        }
    };
}
pub(crate) use each_overlapping_provider;

/// The built-in providers whose old keys work until they are revoked. `random` is left out, because no service accepts its keys.
pub(crate) fn overlapping() -> Vec<&'static str> {
    let overlaps = |text: &str| {
        let provider = Provider::read(text).unwrap();
        provider.overlap && provider.calls.test.is_some()
    };
    BUILTIN.iter().filter(|(_, text)| overlaps(text)).map(|(name, _)| *name).collect()
}

/// A provider's secret, admin and service.
pub(crate) fn setting(name: &str) -> Setting<'static> {
    match name {
        "datadog" => Setting {
            like: "datadog",
            dialect: dialect::datadog,
            fields: ("api_key", "api_key_id"),
            admin: Some(json!({"api_key": ADMIN, "app_key": APPLICATION})),
            ..Setting::default()
        },
        "sendgrid" => Setting {
            like: "sendgrid",
            dialect: dialect::sendgrid,
            fields: ("api_key", "api_key_id"),
            more: json!({"scopes": ["mail.send"]}),
            admin: admin("api_key"),
            ..Setting::default()
        },
        "cloudflare" => Setting {
            like: "cloudflare",
            dialect: dialect::cloudflare,
            fields: ("token", "token_id"),
            more: json!({"account_id": "acc1", "policies": [{"effect": "allow", "resources": {}}]}),
            admin: admin("token"),
            ..Setting::default()
        },
        "gitlab" => Setting {
            like: "gitlab",
            dialect: dialect::gitlab,
            fields: ("token", "token_id"),
            more: json!({"project_id": "7", "scopes": ["read_api"], "access_level": 30}),
            admin: admin("personal_token"),
            ..Setting::default()
        },
        "confluent" => Setting {
            like: "confluent",
            dialect: dialect::confluent,
            fields: ("api_secret", "api_key"),
            more: json!({"owner": "sa-1", "resource": "cloud"}),
            admin: Some(json!({"api_key": "ADMIN", "api_secret": ADMIN})),
            ..Setting::default()
        },
        "mongodb-atlas" => Setting {
            like: "mongodb-atlas",
            dialect: dialect::atlas,
            fields: ("client_secret", "client_id"),
            more: json!({"org_id": "org1", "roles": ["ORG_READ_ONLY"], "hours": 8760}),
            admin: Some(json!({"client_id": "ADMIN", "client_secret": ADMIN})),
            ..Setting::default()
        },
        "fastly" => Setting {
            like: "fastly",
            dialect: dialect::fastly,
            fields: ("token", "token_id"),
            more: json!({"role": "engineer", "services": ["s1"], "scope": "global"}),
            admin: Some(
                json!({"user_token": ADMIN, "username": "admin@example.com", "password": APPLICATION}),
            ),
            ..Setting::default()
        },
        "newrelic" => Setting {
            like: "newrelic",
            dialect: graphql_dialect::newrelic,
            fields: ("api_key", "api_key_id"),
            more: json!({"account_id": 1, "user_id": "2"}),
            ..Setting::default()
        },
        "openai" => Setting {
            like: "openai",
            dialect: dialect::openai,
            fields: ("api_key", "service_account_id"),
            more: json!({"project_id": "proj_1"}),
            admin: admin("admin_key"),
            ..Setting::default()
        },
        "http" => Setting::default(),
        other => panic!("there is no stand-in for the service of {other}"),
    }
}

/// Whether nothing proves that the first key, made by hand, is the secret's. Then the function leaves it alone.
pub(crate) fn leaves_the_first_key(name: &str) -> bool {
    ["datadog", "newrelic", "openai", "sendgrid"].contains(&name)
}

/// Calls the service as a consumer does. Returns whether it accepts the key.
pub(crate) async fn consume(name: &str, secret: &Value, port: u16) -> std::io::Result<bool> {
    let text = |field: &str| secret[field].as_str().unwrap_or_default().to_owned();
    let bearer = |field: &str| ("authorization", format!("Bearer {}", text(field)));
    let basic = |user: &str, password: &str| {
        let pair = aws_smithy_types::base64::encode(format!("{}:{}", text(user), text(password)));
        ("authorization", format!("Basic {pair}"))
    };
    let (method, path, header, body) = match name {
        "cloudflare" => (Method::GET, "/client/v4/accounts/acc1/tokens/verify", bearer("token"), ""),
        "confluent" => (Method::GET, "/org/v2/environments", basic("api_key", "api_secret"), ""),
        "datadog" => (Method::GET, "/api/v1/validate", ("dd-api-key", text("api_key")), ""),
        "fastly" => (Method::GET, "/tokens/self", ("fastly-key", text("token")), ""),
        "gitlab" => {
            (Method::GET, "/api/v4/personal_access_tokens/self", ("private-token", text("token")), "")
        }
        "http" => (Method::GET, "/keys/self", bearer("key"), ""),
        "mongodb-atlas" => (
            Method::POST,
            "/api/oauth/token",
            basic("client_id", "client_secret"),
            "grant_type=client_credentials",
        ),
        "newrelic" => (
            Method::POST,
            "/graphql",
            ("api-key", text("api_key")),
            r#"{"query": "{ actor { user { id } } }"}"#,
        ),
        "oauth-refresh" => (Method::GET, "/userinfo", bearer("access_token"), ""),
        "openai" => (Method::GET, "/v1/models", bearer("api_key"), ""),
        "sendgrid" => (Method::GET, "/v3/scopes", bearer("api_key"), ""),
        other => panic!("nobody uses the keys of {other}"),
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
    let request = request.header(header.0, header.1).body(Full::<bytes::Bytes>::from(body)).unwrap();
    let status = sender.send_request(request).await.map_err(std::io::Error::other)?.status();
    connection.abort();
    match status.as_u16() {
        200 => Ok(true),
        401 | 403 => Ok(false),
        other => Err(std::io::Error::other(format!("HTTP {other}"))),
    }
}
