//! A secret's value. The function reads it as every JSON reader does, a rotation keeps its other fields, and the next value can
//! be read and renewed again.

#![no_main]

use std::borrow::Borrow;

use libfuzzer_sys::fuzz_target;
use rotate_mysql::Mysql;
use rotate_postgres::Postgres;
use rotation::database::account::Account;
use rotation::database::dialect::Dialect;
use rotation::engine::credential::Credential;
use rotation::engine::target::Target;
use rotation::value::document::{Document, Fields};
use rotation::value::password::Rules;
use rotation::value::settings::Settings;
use serde_json::Value;

/// A password that no text of ours contains.
const PASSWORD: &str = "Qx7-vK2~mZ9+tR4_";

fuzz_target!(|text: &str| {
    let Document::Object(fields) = Document::parse(text) else {
        let read = serde_json::from_str(text);
        assert!(!matches!(read, Ok(Value::Object(_))), "an object was not seen");
        return;
    };
    // A JSON reader may reject a value that the function keeps as it is, such as an enormous number.
    if let Ok(Value::Object(read)) = serde_json::from_str(text) {
        assert_eq!(fields.keys().count(), read.len());
        assert!(read.iter().all(|(key, value)| fields.value(key).as_ref() == Some(value)));
    }
    let mut changed = fields.copy();
    changed.put("password", PASSWORD);
    let others = |fields: &Fields| -> Vec<(String, Option<Value>)> {
        let keys = fields.keys().filter(|key| *key != "password");
        keys.map(|key| (key.to_owned(), fields.value(key))).collect()
    };
    let before = others(&fields);
    let written = Document::Object(changed).to_text();
    // The value is larger than a secret may be.
    let Ok(written) = written else { return };
    #[expect(clippy::disallowed_methods, reason = "exposes a value made for this target, to read it again")]
    let again = Document::parse(written.expose());
    let fields = again.fields().expect("an object stays one");
    assert_eq!(others(fields), before);
    assert_eq!(fields.text("password").ok().flatten().as_deref(), Some(PASSWORD));
    if !text.contains(PASSWORD) {
        follow(&Postgres::default(), &again);
        follow(&Mysql, &again);
    }
});

/// Reads an account and its next value, twice, like two rotations.
fn follow<D: Dialect>(target: &D, document: &Document) {
    let settings = Settings::read(&|_| None).expect("an empty environment says nothing wrong");
    let rules = Rules { lengths: 1..=64, length: 32, exclude: "", never: "", mixed: false };
    let current = match target.read(document, &settings) {
        Ok(current) => current,
        Err(error) => return assert!(!error.report().contains(&PASSWORD[..8]), "{}", error.report()),
    };
    let next =
        common::<D>(&current).renewed(document, &settings, &rules).expect("what can be read can be renewed");
    let account = target.read(&next, &settings).expect("what was made can be read");
    current.may_be_followed_by(&account).expect("and belongs to what it was made from");
    current.agree(&account).expect("in every way");
    let last = common::<D>(&account).renewed(&next, &settings, &rules).expect("it can be renewed again");
    let last = target.read(&last, &settings).expect("and read again");
    account.may_be_followed_by(&last).expect("and follows");
    let (last, current) = (&common::<D>(&last).username, &common::<D>(&current).username);
    assert_eq!(last, current, "who is whose turn after two");
}

fn common<D: Dialect>(account: &D::Account) -> &Account {
    account.borrow()
}
