//! The services' protocols, as their documentation describes them (providers/*.toml name the pages).

use http::Method;
use serde_json::{Value, json};

use super::issuer::{Asked, Key, Reply, Store};

/// The admin's key at every service.
pub(crate) const ADMIN: &str = "admin-key-0123456789abcdef";
/// The second key of Datadog's admin.
pub(crate) const APPLICATION: &str = "application-key-0123456789";

pub(super) fn page<'a>(
    store: &'a Store,
    asked: &Asked,
    number: &str,
    size: usize,
    first: usize,
) -> &'a [Key] {
    let number: usize = asked.query.get(number).and_then(|page| page.parse().ok()).unwrap_or(first);
    store.keys.chunks(size).nth(number - first).unwrap_or_default()
}

pub(super) fn error(status: u16, body: Value) -> Reply {
    Reply::json(status, body)
}

pub(crate) fn datadog(store: &mut Store, asked: &Asked) -> Reply {
    let refused = || error(403, json!({"errors": ["Forbidden"]}));
    if asked.path == "/api/v1/validate" {
        return match store.of(asked.header("dd-api-key")) {
            Some(_) => Reply::json(200, json!({"valid": true})),
            None => refused(),
        };
    }
    if asked.header("dd-api-key") != ADMIN || asked.header("dd-application-key") != APPLICATION {
        return refused();
    }
    match (&asked.method, &asked.segments()[..]) {
        (&Method::POST, ["api", "v2", "api_keys"]) if asked.json["data"]["type"] == "api_keys" => {
            let key = store.issue("{random}", asked.json["data"]["attributes"]["name"].as_str().unwrap());
            Reply::json(
                201,
                json!({"data": {"type": "api_keys", "id": key.id, "attributes": {"key": key.value, "name": key.name}}}),
            )
        }
        (&Method::GET, ["api", "v2", "api_keys"]) => {
            let filter = asked.query.get("filter").cloned().unwrap_or_default();
            let page = page(store, asked, "page[number]", 100, 0);
            let keys = page.iter().filter(|key| key.name.contains(&filter));
            Reply::json(
                200,
                json!({"data": keys.map(|key| json!({"id": key.id, "attributes": {
                "name": key.name, "last4": key.value[60..], "created_at": stamp(key)}})).collect::<Vec<_>>()}),
            )
        }
        (&Method::DELETE, ["api", "v2", "api_keys", id]) if store.revoke(id) => Reply::empty(204),
        _ => error(404, json!({"errors": ["Not Found"]})),
    }
}

pub(crate) fn sendgrid(store: &mut Store, asked: &Asked) -> Reply {
    let refused = || error(401, json!({"errors": [{"message": "authorization required"}]}));
    if asked.path == "/v3/scopes" {
        return store
            .of(asked.bearer())
            .map_or_else(refused, |_| Reply::json(200, json!({"scopes": ["mail.send"]})));
    }
    if asked.bearer() != ADMIN {
        return refused();
    }
    match (&asked.method, &asked.segments()[..]) {
        (&Method::POST, ["v3", "api_keys"]) if asked.json["scopes"].is_array() => {
            let key = store.issue("SG.{id}.{random}", asked.json["name"].as_str().unwrap());
            Reply::json(
                201,
                json!({"api_key": key.value, "api_key_id": key.id, "name": key.name, "scopes": asked.json["scopes"]}),
            )
        }
        (&Method::GET, ["v3", "api_keys"]) => {
            let keys = store.keys.iter().map(|key| json!({"name": key.name, "api_key_id": key.id}));
            Reply::json(200, json!({"result": keys.collect::<Vec<_>>()}))
        }
        (&Method::DELETE, ["v3", "api_keys", id]) if store.revoke(id) => Reply::empty(204),
        _ => error(404, json!({"errors": [{"message": "unable to find API Key"}]})),
    }
}

pub(crate) fn cloudflare(store: &mut Store, asked: &Asked) -> Reply {
    let refused = || {
        error(
            401,
            json!({"success": false, "errors": [{"code": 1000, "message": "Invalid API Token"}], "result": null}),
        )
    };
    let good = |result: Value| {
        Reply::json(200, json!({"success": true, "errors": [], "messages": [], "result": result}))
    };
    let segments = asked.segments();
    let ["client", "v4", "accounts", "acc1", "tokens", rest @ ..] = &segments[..] else {
        return Reply::empty(404);
    };
    if rest == ["verify"] {
        return store
            .of(asked.bearer())
            .map_or_else(refused, |key| good(json!({"id": key.id, "status": "active"})));
    }
    if asked.bearer() != ADMIN {
        return refused();
    }
    match (&asked.method, rest) {
        (&Method::POST, []) if asked.json["policies"][0]["effect"] == "allow" => {
            let key = store.issue("{random}", asked.json["name"].as_str().unwrap());
            good(json!({"id": key.id, "name": key.name, "status": "active", "value": key.value}))
        }
        (&Method::GET, []) => {
            let keys = page(store, asked, "page", 50, 1).iter();
            good(keys.map(|key| json!({"id": key.id, "name": key.name, "status": "active", "issued_on": stamp(key)})).collect())
        }
        (&Method::DELETE, [id]) if store.revoke(id) => good(json!({"id": id})),
        _ => error(
            404,
            json!({"success": false, "errors": [{"code": 1003, "message": "not found"}], "result": null}),
        ),
    }
}

pub(crate) fn gitlab(store: &mut Store, asked: &Asked) -> Reply {
    let refused = || error(401, json!({"message": "401 Unauthorized"}));
    let token = asked.header("private-token");
    let shown = |key: &Key| {
        json!({"id": key.id[2..].bytes().fold(7_u64, |n, b| n.wrapping_mul(31).wrapping_add(b.into())) >> 12, "name": key.name,
            "active": true, "revoked": false, "created_at": stamp(key)})
    };
    if asked.path == "/api/v4/personal_access_tokens/self" {
        return store.of(token).map_or_else(refused, |key| Reply::json(200, shown(key)));
    }
    if token != ADMIN {
        return refused();
    }
    match (&asked.method, &asked.segments()[..]) {
        (&Method::POST, ["api", "v4", "projects", "7", "access_tokens"]) => {
            let good = asked.json["scopes"] == json!(["read_api"]) && asked.json["access_level"] == 30;
            let date = asked.json["expires_at"].as_str().unwrap_or_default();
            if !good || date.len() != 10 {
                return error(400, json!({"message": "400 Bad request"}));
            }
            let key = store.issue("glpat-{random}", asked.json["name"].as_str().unwrap());
            let mut answer = shown(&key);
            answer["token"] = key.value.into();
            Reply::json(201, answer)
        }
        (&Method::GET, ["api", "v4", "projects", "7", "access_tokens"]) => {
            let search = asked.query.get("search").cloned().unwrap_or_default();
            let keys = page(store, asked, "page", 100, 1).iter().filter(|key| key.name.contains(&search));
            Reply::json(200, keys.map(shown).collect())
        }
        (&Method::DELETE, ["api", "v4", "projects", "7", "access_tokens", id]) => {
            let found = store
                .keys
                .iter()
                .find(|key| shown(key)["id"].as_u64() == id.parse().ok())
                .map(|key| key.id.clone());
            match found {
                Some(id) if store.revoke(&id) => Reply::empty(204),
                _ => error(404, json!({"message": "404 Not Found"})),
            }
        }
        _ => error(404, json!({"message": "404 Not Found"})),
    }
}

pub(crate) fn confluent(store: &mut Store, asked: &Asked) -> Reply {
    let refused = || error(401, json!({"errors": [{"status": "401", "detail": "Unauthorized"}]}));
    let (user, password) = asked.basic();
    if asked.path == "/org/v2/environments" {
        let known = store.of(&password).filter(|key| key.id == user);
        return known.map_or_else(refused, |_| Reply::json(200, json!({"data": []})));
    }
    if (user.as_str(), password.as_str()) != ("ADMIN", ADMIN) {
        return refused();
    }
    match (&asked.method, &asked.segments()[..]) {
        (&Method::POST, ["iam", "v2", "api-keys"]) if asked.json["spec"]["owner"]["id"] == "sa-1" => {
            let key = store.issue("{random}", asked.json["spec"]["display_name"].as_str().unwrap());
            Reply::json(202, json!({"id": key.id, "spec": {"secret": key.value, "display_name": key.name}}))
        }
        (&Method::GET, ["iam", "v2", "api-keys"])
            if asked.query.get("spec.owner").is_some_and(|owner| owner == "sa-1") =>
        {
            // Two keys on a page, so that the listing has several pages.
            let from: usize = asked
                .query
                .get("page_token")
                .map_or(0, |token| token.trim_start_matches("at=").parse().unwrap());
            let keys = store.keys.iter().skip(from).take(2);
            let next = (from + 2 < store.keys.len()).then(|| {
                format!(
                    "https://api.confluent.cloud/iam/v2/api-keys?page_size=2&page_token=at%3D{}",
                    from + 2
                )
            });
            let data: Vec<Value> = keys.map(|key| json!({"id": key.id, "metadata": {"created_at": stamp(key)}, "spec": {"display_name": key.name}})).collect();
            Reply::json(200, json!({"metadata": {"next": next}, "data": data}))
        }
        (&Method::DELETE, ["iam", "v2", "api-keys", id]) if store.revoke(id) => Reply::empty(204),
        _ => error(404, json!({"errors": [{"detail": "not found"}]})),
    }
}

pub(crate) fn atlas(store: &mut Store, asked: &Asked) -> Reply {
    let refused = || error(401, json!({"error": "invalid_client", "error_description": "unknown client"}));
    if asked.path == "/api/oauth/token" {
        let (user, password) = asked.basic();
        let known = store.of(&password).is_some_and(|key| key.id == user);
        if asked.form.get("grant_type").is_none_or(|grant| grant != "client_credentials") {
            return error(400, json!({"error": "unsupported_grant_type"}));
        }
        if (user.as_str(), password.as_str()) == ("ADMIN", ADMIN) {
            let token = format!("access-{:032x}", rand::random::<u128>());
            store.notes.insert(token.clone(), "admin".into());
            return Reply::json(
                200,
                json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}),
            );
        }
        return if known {
            Reply::json(200, json!({"access_token": "of-the-key-itself", "token_type": "Bearer"}))
        } else {
            refused()
        };
    }
    if !store.notes.contains_key(asked.bearer()) {
        return error(401, json!({"detail": "Unauthorized"}));
    }
    if asked.header("accept") != "application/vnd.atlas.2024-08-05+json" {
        return error(406, json!({"detail": "no such version"}));
    }
    let segments = asked.segments();
    let ["api", "atlas", "v2", "orgs", "org1", "serviceAccounts", rest @ ..] = &segments[..] else {
        return Reply::empty(404);
    };
    match (&asked.method, rest) {
        (&Method::POST, [])
            if asked.json["roles"].is_array() && asked.json["secretExpiresAfterHours"] == 8760 =>
        {
            let key = store.issue("mdb_sa_sk_{random}", asked.json["name"].as_str().unwrap());
            Reply::json(
                201,
                json!({"clientId": key.id, "name": key.name, "secrets": [{"secret": key.value}]}),
            )
        }
        (&Method::GET, []) => {
            let keys = page(store, asked, "pageNum", 500, 1).iter();
            let results: Vec<Value> = keys
                .map(|key| json!({"clientId": key.id, "name": key.name, "createdAt": stamp(key)}))
                .collect();
            Reply::json(200, json!({"results": results}))
        }
        (&Method::DELETE, [id]) if store.revoke(id) => Reply::empty(204),
        _ => error(404, json!({"detail": "not found"})),
    }
}

pub(crate) fn fastly(store: &mut Store, asked: &Asked) -> Reply {
    let token = asked.header("fastly-key");
    if asked.path == "/tokens/self" {
        return store.of(token).map_or_else(
            || error(401, json!({"msg": "Provided credentials are missing or invalid"})),
            |key| Reply::json(200, json!({"id": key.id, "name": key.name})),
        );
    }
    let refused = || error(403, json!({"msg": "You are not authorized to perform this action"}));
    if token != ADMIN {
        return refused();
    }
    match (&asked.method, &asked.segments()[..]) {
        (&Method::POST, ["sudo"]) => {
            if asked.json != json!({"username": "admin@example.com", "password": APPLICATION}) {
                return error(400, json!({"msg": "Bad request"}));
            }
            store.notes.insert("sudo".into(), String::new());
            Reply::json(200, json!({"expiry_time": stamp_in(300)}))
        }
        // Only in sudo mode a new token can be made.
        (&Method::POST, ["automation-tokens"]) if !store.notes.contains_key("sudo") => refused(),
        (&Method::POST, ["automation-tokens"])
            if asked.json["services"].is_array() && asked.json["role"] == "engineer" =>
        {
            store.notes.remove("sudo");
            let key = store.issue("{random}", asked.json["name"].as_str().unwrap());
            Reply::json(200, json!({"id": key.id, "name": key.name, "access_token": key.value}))
        }
        (&Method::GET, ["automation-tokens"]) => {
            let keys = page(store, asked, "page", 100, 1).iter();
            let keys: Vec<Value> = keys
                .map(|key| json!({"id": key.id, "name": key.name, "access_token": "", "created_at": stamp(key)}))
                .collect();
            let meta =
                json!({"current_page": 1, "per_page": 100, "record_count": keys.len(), "total_pages": 1});
            Reply::json(200, json!({"data": keys, "meta": meta}))
        }
        (&Method::DELETE, ["automation-tokens", id]) if store.revoke(id) => Reply::empty(204),
        _ => error(404, json!({"msg": "Record not found"})),
    }
}

pub(crate) fn openai(store: &mut Store, asked: &Asked) -> Reply {
    let refused = || error(401, json!({"error": {"message": "Incorrect API key provided"}}));
    if asked.path == "/v1/models" {
        return store.of(asked.bearer()).map_or_else(refused, |_| Reply::json(200, json!({"data": []})));
    }
    if asked.bearer() != ADMIN {
        return refused();
    }
    let segments = asked.segments();
    let ["v1", "organization", "projects", "proj_1", "service_accounts", rest @ ..] = &segments[..] else {
        return Reply::empty(404);
    };
    match (&asked.method, rest) {
        (&Method::POST, []) => {
            let key = store.issue("sk-svcacct-{random}", asked.json["name"].as_str().unwrap());
            Reply::json(
                200,
                json!({"id": key.id, "name": key.name, "created_at": key.created, "api_key": {"id": "key_1", "value": key.value}}),
            )
        }
        (&Method::GET, []) => {
            let from = asked
                .query
                .get("after")
                .map_or(0, |after| store.keys.iter().position(|key| key.id == *after).unwrap() + 1);
            let keys: Vec<Value> = store
                .keys
                .iter()
                .skip(from)
                .take(2)
                .map(|key| json!({"id": key.id, "name": key.name, "created_at": key.created}))
                .collect();
            let last = keys.last().map(|key| key["id"].clone());
            Reply::json(200, json!({"has_more": from + 2 < store.keys.len(), "last_id": last, "data": keys}))
        }
        (&Method::DELETE, [id]) if store.revoke(id) => Reply::json(200, json!({"deleted": true, "id": id})),
        _ => error(404, json!({"error": {"message": "not found"}})),
    }
}

fn stamp(key: &Key) -> String {
    written(key.created)
}

fn stamp_in(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    written(now.as_secs() + seconds)
}

fn written(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap();
    let date = aws_smithy_types::DateTime::from_secs(seconds);
    date.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap()
}
