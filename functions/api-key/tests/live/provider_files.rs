//! Provider files: the built-in ones are valid, and an error in any other file names its line.

use lab::world::World;
use rotate_api_key::provider::{BUILTIN, Provider};
use serde_json::json;

#[test]
fn every_built_in_provider_can_be_used() {
    for (name, text) in BUILTIN {
        let provider = Provider::read(text).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
        assert_eq!(provider.name, *name);
        assert!(text.contains("# Secret:"), "{name} does not say what its secret holds");
        for origin in provider.servers.values().chain(provider.sites.values().flat_map(|site| site.values()))
        {
            assert!(origin.https, "{name}");
        }
    }
}

const GOOD: &str = r#"name = "mine"
[servers]
api = "https://api.example.com"
[secret]
key = "key"
fields = ["project"]
[auth.key]
headers = { Authorization = "Bearer {{key}}" }
[call.issue]
method = "POST"
path = "/{{secret.project}}/keys"
auth = "key"
json = { name = "{{label}}" }
store = { key = "/key" }
[call.test]
path = "/self"
auth = "key"
[call.list]
path = "/keys"
entries = "/keys"
id = "/id"
label = "/name"
[call.revoke]
method = "DELETE"
path = "/keys/{{id}}"
auth = "key"
"#;

/// Replaces a piece of the valid file, and expects a problem at this line with this text.
#[track_caller]
fn refused(old: &str, new: &str, line: usize, part: &str) {
    assert!(GOOD.contains(old), "{old}");
    let text = GOOD.replacen(old, new, 1);
    let problem = Provider::read(&text).err().unwrap_or_else(|| panic!("accepted: {new}"));
    assert!(problem.what.contains(part), "{new}: {}", problem.what);
    assert_eq!(problem.line, line, "{new}: {}", problem.what);
}

#[test]
fn a_fault_in_a_provider_file_is_named_with_its_line() {
    assert!(Provider::read(GOOD).is_ok(), "{:?}", Provider::read(GOOD).err());
    refused("name = \"mine\"", "name = \"My Own\"", 1, "lower-case letters");
    refused("name = \"mine\"", "name = \"mine\"\nlike = \"nothing\"", 2, "no built-in provider");
    refused("[servers]", "[serves]", 2, "unknown field");
    refused("https://api.example.com", "https://{{secret.host}}", 3, "is not a server");
    refused("https://api.example.com", "https://api.example.com/v1", 3, "is not a server");
    refused("fields = [\"project\"]", "fields = \"project\"", 6, "sequence");
    refused("fields = [\"project\"]", "fields = [\"key\"]", 5, "declared twice");
    refused("Bearer {{key}}", "Bearer {{kye}}", 8, "no variable \"kye\"");
    refused("method = \"POST\"", "method = \"FETCH\"", 10, "is not GET, POST");
    refused("/{{secret.project}}/keys", "/{{secret.projekt}}/keys", 11, "\"projekt\" is not declared");
    refused("/{{secret.project}}/keys", "{{secret.project}}/keys", 11, "begins with a slash");
    refused("/{{secret.project}}/keys", "/{{id}}/keys", 11, "for [call.revoke] only");
    refused("/{{secret.project}}/keys", "/{{secret.project|json}}", 11, "stand alone");
    refused("auth = \"key\"\njson", "auth = \"kye\"\njson", 12, "no [auth.kye]");
    refused("auth = \"key\"\njson", "server = \"other\"\njson", 12, "no server \"other\"");
    refused("{ name = \"{{label}}\" }", "{ name = \"{{labl}}\" }", 13, "no variable \"labl\"");
    refused("{ key = \"/key\" }", "{ key = \"key\" }", 14, "neither a JSON pointer");
    refused("{ key = \"/key\" }", "{ kye = \"/key\" }", 11, "where the new key is");
    refused(
        "store = { key = \"/key\" }",
        "store = { key = \"/key\", x = \"/x\" }",
        11,
        "\"x\" is not declared",
    );
    refused("path = \"/self\"", "path = \"/self\"\nentries = \"/keys\"", 16, "belongs to [call.list]");
    refused("path = \"/self\"", "path = \"/self\"\nheaders = { Host = \"evil\" }", 16, "not a header");
    refused("path = \"/self\"", "path = \"/self\"\nauht = \"key\"", 17, "unknown field `auht`");
    refused("[call.test]\npath = \"/self\"\nauth = \"key\"\n", "", 1, "no [call.test]");
    refused("label = \"/name\"\n", "", 19, "tells a key of ours from others");
    refused("path = \"/self\"", "path = \"/self/{{access}}\"", 1, "there is no [call.token]");
    refused("name = \"mine\"", "name = \"mine\"\noverlap = false", 1, "no previous key to revoke");
    refused("[call.list]", "[call.lists]", 18, "unknown field");
    refused("path = \"/keys\"", "path = \"/keys\"\nnext_param = \"page\"", 19, "there is no \"next\"");
    refused("store = {", "id = \"/id\"\nstore = {", 11, "\"id\" belongs to [call.list] and [call.test]");
    refused("path = \"/self\"", "path = \"/self\"\nfailure = [\"errors\"]", 17, "nor a list of them");
    refused("path = \"/self\"", "path = \"/self\"\nafter = \"token\"", 1, "there is no [call.token]");
    refused("path = \"/self\"", "path = \"/self\"\nafter = \"issue\"", 17, "unknown variant");
    refused(
        "path = \"/self\"",
        "path = \"/self\"\ngone_if = { \"/gone\" = true }",
        16,
        "belongs to [call.revoke]",
    );
    let token = "[call.token]\npath = \"/token\"\n[call.revoke]";
    refused(
        "[call.revoke]",
        &token.replace("/token\"", "/token\"\nafter = \"token\""),
        24,
        "belongs to the other calls",
    );
    let used = GOOD.replace("/self\"", "/self/{{access}}\"").replace("[call.revoke]", token);
    assert!(Provider::read(&used).err().unwrap().what.contains("where the token is"));
}

/// The acting version revokes listed keys one by one, so only `{{id}}` says which key is meant.
#[test]
fn a_listed_key_is_revoked_by_its_id_alone() {
    let by = |variable: &str| format!("path = \"/keys/{variable}\"\nauth");
    for variable in ["{{key}}", "{{secret.project}}", "{{label}}", "self"] {
        refused("path = \"/keys/{{id}}\"\nauth", &by(variable), 25, "has to name the key by {{id}}");
    }
    // Without a list, the call is made for the very version whose key is revoked.
    let list = GOOD.split_once("[call.list]").unwrap().1.split_once("[call.revoke]").unwrap().0;
    let unlisted = GOOD.replace(&format!("[call.list]{list}"), "");
    assert!(Provider::read(&unlisted.replace("/keys/{{id}}", "/keys/{{key}}")).is_ok());
}

/// Anyone who may write the secret chooses the id in it.
#[test]
fn an_id_out_of_the_secret_is_never_revoked() {
    let good = GOOD
        .replace("key = \"key\"\nfields", "key = \"key\"\nid = \"id\"\nfields")
        .replace("{ key = \"/key\" }", "{ key = \"/key\", id = \"/id\" }");
    assert!(Provider::read(&good).is_ok(), "{:?}", Provider::read(&good).err());
    let revoke = "path = \"/keys/{{id}}\"\nauth = \"key\"";
    let reads = |new: &str| {
        assert!(good.contains(revoke));
        Provider::read(&good.replace(revoke, new)).err().map(|problem| (problem.line, problem.what))
    };
    for (path, more) in [
        ("/keys/{{secret.id}}", "query = { really = \"{{id}}\" }"),
        ("/keys/{{id}}", "query = { id = \"{{secret.id}}\" }"),
        ("/keys/{{id}}", "form = { id = \"{{secret.id}}\" }"),
        ("/keys/{{id}}", "json = { ids = [\"{{secret.id}}\"] }"),
    ] {
        let (line, what) = reads(&format!("path = \"{path}\"\n{more}\nauth = \"key\"")).unwrap();
        assert!(line == 26 && what.contains("proves nothing"), "{path} {more}: {line}: {what}");
    }
    // An id may be used to log in.
    let user = "[auth.own]\nbasic = { user = \"{{secret.id}}\", password = \"{{key}}\" }\n";
    assert_eq!(reads(&format!("path = \"/keys/{{{{id}}}}\"\nauth = \"own\"\n{user}")), None);
}

/// If a new key kept the old id, that id would be another key's.
#[test]
fn a_new_key_brings_its_id_along() {
    let shape = "key = \"key\"\nfields";
    refused(shape, "key = \"key\"\nid = \"id\"\nfields", 12, "where the new key's id is");
    for name in ["key", "id"] {
        let text = GOOD.replace(shape, "key = \"key\"\nid = \"id\"\nfields").replace(
            "{ key = \"/key\" }",
            &format!("{{ key = \"/key\", id = \"/id\" }}\noptional = [\"{name}\"]"),
        );
        let problem = Provider::read(&text).err().unwrap();
        assert!(problem.line == 12 && problem.what.contains("may not be missing"), "{problem:?}");
    }
    let put = GOOD.replace("[call.issue]", "[call.put]").replace("store = { key = \"/key\" }\n", "");
    assert!(Provider::read(&put).is_ok(), "{:?}", Provider::read(&put).err());
    let problem = Provider::read(&put.replace(shape, "key = \"key\"\nid = \"id\"\nfields")).err().unwrap();
    assert!(problem.line == 12 && problem.what.contains("no id"), "{problem:?}");
}

#[test]
fn a_key_is_tested_with_nothing_of_the_admins() {
    let text = GOOD
        .replace("fields = [\"project\"]", "fields = [\"project\"]\nadmin = [\"token\"]")
        .replace("/self", "/self/{{admin.token}}");
    let problem = Provider::read(&text).err().unwrap();
    assert!(problem.line == 17 && problem.what.contains("the key itself"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_diagnose_event_checks_a_file_and_touches_nothing() {
    let world = World::new("rotate-api-key", &[("ALLOW_DIAGNOSE", "true")], &json!({})).await.unwrap();
    let check = async |text: &str| {
        world.lab.clear_calls();
        let report = world.function.invoke(json!({"Step": "diagnose", "Provider": text})).await.unwrap();
        assert!(world.lab.calls().is_empty());
        assert_eq!((&report["Target"], &report["SecretId"]), (&json!("api-key"), &json!(null)));
        report["Checks"][0].clone()
    };
    let good = check(GOOD).await;
    assert_eq!((&good["Check"], &good["Verdict"]), (&json!("provider"), &json!("pass")), "{good}");
    let bad = check(&GOOD.replace("{{label}}", "{{labl}}")).await;
    assert_eq!(bad["Verdict"], "fail");
    assert!(bad["Detail"].as_str().unwrap().contains("line 13: there is no variable \"labl\""), "{bad}");
    let silent = World::new("rotate-api-key", &[], &json!({})).await.unwrap();
    silent.function.invoke(json!({"Step": "diagnose", "Provider": GOOD})).await.unwrap_err();
}
