//! New Relic's protocol: GraphQL, which answers HTTP 200 even for failures, and is strict about the types of variables.

use serde_json::{Value, json};

use super::dialect::error;
use super::issuer::{Asked, Reply, Store};

pub(crate) fn newrelic(store: &mut Store, asked: &Asked) -> Reply {
    let caller = asked.header("api-key");
    if store.of(caller).is_none() || asked.path != "/graphql" {
        return error(401, json!({"errors": [{"message": "Invalid API key"}]}));
    }
    let (query, variables) = (asked.json["query"].as_str().unwrap_or_default(), &asked.json["variables"]);
    // The schema's types for inputs. A query that declares other types is refused, as GraphQL demands.
    if query.contains("apiAccessCreateKeys(keys: $keys)") && query.contains("$keys: ApiAccessCreateInput!") {
        let wanted = &variables["keys"]["user"][0];
        if wanted["accountId"] != 1 || wanted["userId"] != 2 {
            return graphql(
                "apiAccessCreateKeys",
                json!({"createdKeys": [], "errors": [{"message": "no such account"}]}),
            );
        }
        let key = store.issue("NRAK-{random}", wanted["name"].as_str().unwrap());
        let created = json!([{"id": key.id, "key": key.value}]);
        return graphql("apiAccessCreateKeys", json!({"createdKeys": created, "errors": []}));
    }
    let scope = json!({"types": ["USER"], "scope": {"accountIds": [1], "userIds": [2]}});
    if query.contains("keySearch(query: $query, cursor: $cursor)")
        && query.contains("$query: ApiAccessKeySearchQuery!")
        && variables["query"] == scope
    {
        let from: usize = variables["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
        let keys = store.keys.iter().skip(from).take(2);
        let keys: Vec<Value> =
            keys.map(|key| json!({"id": key.id, "name": key.name, "createdAt": key.created})).collect();
        let next = (from + 2 < store.keys.len()).then(|| (from + 2).to_string());
        return graphql("actor", json!({"apiAccess": {"keySearch": {"nextCursor": next, "keys": keys}}}));
    }
    if query.contains("apiAccessDeleteKeys(keys: $keys)") && query.contains("$keys: ApiAccessDeleteInput!") {
        let id = variables["keys"]["userKeyIds"][0].as_str().unwrap();
        let answer = if store.revoke(id) {
            json!({"deletedKeys": [{"id": id}], "errors": []})
        } else {
            json!({"deletedKeys": [], "errors": [{"message": "Key not found", "errorType": "NOT_FOUND"}]})
        };
        return graphql("apiAccessDeleteKeys", answer);
    }
    if query.contains("user { id }") {
        return Reply::json(200, json!({"data": {"actor": {"user": {"id": 2}}}}));
    }
    Reply::json(200, json!({"errors": [{"message": "Argument has an invalid value"}]}))
}

fn graphql(field: &str, answer: Value) -> Reply {
    Reply::json(200, json!({"data": {field: answer}}))
}
