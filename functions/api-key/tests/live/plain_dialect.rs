//! The conventions of `http.toml`, with and without idempotency keys.

use http::Method;
use serde_json::{Value, json};

use super::dialect::{error, page};
use super::issuer::{Asked, Reply, Store};

/// With idempotency keys: each gets one key, whether that key still works or not.
pub(crate) fn idempotent(store: &mut Store, asked: &Asked) -> Reply {
    let sent = asked.header("idempotency-key").to_owned();
    match store.notes.get(&sent) {
        Some(answer) if asked.method == Method::POST => {
            Reply::json(201, serde_json::from_str(answer).unwrap())
        }
        _ => {
            let reply = http(store, asked);
            if asked.method == Method::POST {
                store.notes.insert(sent, String::from_utf8(reply.body.clone()).unwrap());
            }
            reply
        }
    }
}

/// The conventions of `http.toml`. Keys manage themselves and each other.
pub(crate) fn http(store: &mut Store, asked: &Asked) -> Reply {
    let Some(caller) = store.of(asked.bearer()).cloned() else {
        return error(401, json!({"error": "who are you?"}));
    };
    match (&asked.method, &asked.segments()[..]) {
        (&Method::GET, ["keys", "self"]) => Reply::json(200, json!({"id": caller.id})),
        (&Method::POST, ["keys"]) => {
            let key = store.issue("{random}", asked.json["name"].as_str().unwrap());
            Reply::json(201, json!({"id": key.id, "key": key.value}))
        }
        (&Method::GET, ["keys"]) => {
            let keys = page(store, asked, "page", 2, 1).iter();
            let keys: Vec<Value> =
                keys.map(|key| json!({"id": key.id, "name": key.name, "created_at": key.created})).collect();
            Reply { headers: vec![("date", http_date())], ..Reply::json(200, json!({"keys": keys})) }
        }
        (&Method::DELETE, ["keys", id]) if store.revoke(id) => Reply::empty(204),
        _ => error(404, json!({"error": "no such key"})),
    }
}

fn http_date() -> String {
    let now = aws_smithy_types::DateTime::from(std::time::SystemTime::now());
    now.fmt(aws_smithy_types::date_time::Format::HttpDate).unwrap()
}
