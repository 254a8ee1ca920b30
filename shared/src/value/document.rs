//! A secret's value as Secrets Manager holds it: a JSON object, or plain text for services that want only that. Unknown keys, the
//! order of keys and the spelling of every untouched value survive a rotation byte for byte.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// The service's limit on a value, in bytes (Secrets Manager quotas: "Secret value size").
pub const LIMIT: usize = 65_536;

/// A shorter text is not treated as a secret, unless it is the password.
const LEAST_SECRET: usize = 4;

/// A secret's value. It has no `Debug`, because any part of it may be secret.
pub enum Document {
    /// A JSON object.
    Object(Fields),
    /// Anything else: the whole text is the secret.
    Plain(Secret),
}

/// The object's keys in order, each with its value as JSON text.
pub struct Fields(Vec<(String, Zeroizing<String>)>);

impl Document {
    /// Reads a value. Everything but a JSON object is plain text; the target says whether it can use plain text.
    pub fn parse(text: &str) -> Document {
        let mut reader = serde_json::Deserializer::from_str(text);
        match reader.deserialize_map(FieldsVisitor).and_then(|fields| reader.end().map(|()| fields)) {
            Ok(fields) => Document::Object(fields),
            Err(_) => Document::Plain(Secret::new(text.to_owned())),
        }
    }

    /// The object's fields, or an error for plain text.
    pub fn fields(&self) -> Result<&Fields> {
        match self {
            Document::Object(fields) => Ok(fields),
            Document::Plain(_) => Err(Error::new(Kind::BadSecret, "the secret's value is not a JSON object")
                .remedy("store the value as JSON, such as {\"engine\": ..., \"host\": ..., \"username\": ..., \"password\": ...}")),
        }
    }

    /// The value as Secrets Manager will store it. Fails if it is too long.
    pub fn to_text(&self) -> Result<Secret> {
        let text = match self {
            Document::Object(fields) => Secret::new(fields.to_json()),
            Document::Plain(secret) => secret.share(),
        };
        if text.len() > LIMIT {
            let what =
                format!("the new value would be {} bytes, and a secret holds at most {LIMIT}", text.len());
            return Err(Error::new(Kind::BadSecret, what).remedy("make the secret's other fields smaller"));
        }
        Ok(text)
    }
}

impl Fields {
    /// An object without any key.
    pub fn empty() -> Fields {
        Fields(Vec::new())
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The first key, but for these, under which another object says something else, or nothing. Order and spaces say nothing.
    pub fn differs_in<'a>(&'a self, other: &'a Fields, but: &[&str]) -> Option<&'a str> {
        let all = self.keys().chain(other.keys());
        all.filter(|key| !but.contains(key)).find(|key| !same(self.raw(key), other.raw(key)))
    }

    fn raw(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, raw)| raw.as_str())
    }

    /// The value of a key, of any JSON type.
    pub fn value(&self, key: &str) -> Option<Value> {
        let raw = &self.0.iter().find(|(name, _)| name == key)?.1;
        serde_json::from_str(raw).ok()
    }

    /// A text that is not secret. `None` if the key is absent, null or empty.
    pub fn text(&self, key: &str) -> Result<Option<String>> {
        match self.value(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::new(Kind::BadSecret, format!("the secret's \"{key}\" is not a string"))),
        }
    }

    /// A text that must be there.
    pub fn required(&self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| missing(key))
    }

    /// A secret text that must be there.
    pub fn secret(&self, key: &str) -> Result<Secret> {
        self.required(key).map(Secret::new)
    }

    /// A boolean: JSON's own, or the words true and false in any case.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let bad = || Error::new(Kind::BadSecret, format!("the secret's \"{key}\" is neither true nor false"));
        match self.value(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(bad()),
        }
    }

    /// A port, as number or as text. Null and empty mean the default.
    pub fn port(&self, default: u16) -> Result<u16> {
        let bad = || Error::new(Kind::BadSecret, "the secret's \"port\" is not a port number");
        let number = match self.value("port") {
            None | Some(Value::Null) => return Ok(default),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(default),
            Some(Value::String(text)) => text.trim().parse().map_err(|_| bad())?,
            // Python programs have written ports as 5432.0.
            Some(Value::Number(number)) => number.as_f64().ok_or_else(bad)?,
            Some(_) => return Err(bad()),
        };
        let port = number as u16;
        if port != 0 && f64::from(port) == number { Ok(port) } else { Err(bad()) }
    }

    /// Puts a text under a key. A key that exists keeps its place.
    pub fn put(&mut self, key: &str, text: &str) {
        let json = Zeroizing::new(Value::from(text).to_string());
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, value)) => *value = json,
            None => self.0.push((key.to_owned(), json)),
        }
    }

    /// A copy to change.
    #[must_use]
    pub fn copy(&self) -> Fields {
        Fields(self.0.clone())
    }

    /// Every text in the object, except those under public keys. Words as short as `1` or `eu` are left out unless they are the
    /// password, because masking them would make logs unreadable.
    pub fn secrets(&self, public: &[&str]) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for (key, raw) in &self.0 {
            if public.contains(&key.as_str()) {
                continue;
            }
            if let Ok(Value::String(text)) = serde_json::from_str(raw)
                && (text.len() >= LEAST_SECRET || key == "password")
            {
                secrets.push(Secret::new(text));
            }
        }
        secrets
    }

    fn to_json(&self) -> String {
        // The capacity is computed first, because a growing string leaves copies of the password in freed memory.
        let size = self.0.iter().map(|(key, value)| 6 * key.len() + value.len() + 6).sum::<usize>() + 2;
        let mut json = String::with_capacity(size);
        for (key, value) in &self.0 {
            json.push_str(if json.is_empty() { "{" } else { ", " });
            json.push_str(&Value::from(key.as_str()).to_string());
            json.push_str(": ");
            json.push_str(value);
        }
        json.push_str(if json.is_empty() { "{}" } else { "}" });
        json
    }
}

/// Whether two values say the same. Numbers that are read as fractions count by their spelling, because reading them rounds.
fn same(one: Option<&str>, other: Option<&str>) -> bool {
    let read = |raw: &str| serde_json::from_str::<Value>(raw).ok().filter(|value| !has_fraction(value));
    match (one, other) {
        (Some(one), Some(other)) => one == other || read(one).is_some_and(|one| Some(one) == read(other)),
        (one, other) => one == other,
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// The error for a missing key.
pub fn missing(key: &str) -> Error {
    Error::new(Kind::BadSecret, format!("the secret has no \"{key}\""))
        .remedy(format!("add \"{key}\" to the secret's JSON; keys are case-sensitive"))
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::empty();
        while let Some((key, raw)) = map.next_entry::<String, &'de RawValue>()? {
            let value = Zeroizing::new(raw.get().to_owned());
            // If a key occurs twice, the last value counts, as in other JSON readers.
            match fields.0.iter_mut().find(|(name, _)| *name == key) {
                Some((_, earlier)) => *earlier = value,
                None => fields.0.push((key, value)),
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        match Document::parse(text) {
            Document::Object(fields) => fields,
            Document::Plain(_) => panic!("not an object: {text}"),
        }
    }

    #[test]
    fn untouched_values_survive_byte_for_byte() {
        let mut object = fields(
            r#"{"z": 1.50, "password":"old", "ü\n": {"b":  2, "a": [1,2 ]}, "big": 123456789012345678901234567890}"#,
        );
        object.put("password", "n\"w");
        object.put("added", "x");
        assert_eq!(
            object.to_json(),
            r#"{"z": 1.50, "password": "n\"w", "ü\n": {"b":  2, "a": [1,2 ]}, "big": 123456789012345678901234567890, "added": "x"}"#
        );
        assert_eq!(fields("{}").to_json(), "{}");
        assert_eq!(fields(r#"{"a": 1, "b": 2, "a": 3}"#).to_json(), r#"{"a": 3, "b": 2}"#);
    }

    #[test]
    fn other_values_are_plain_text_and_are_refused_if_an_object_is_needed() {
        for text in ["", "word", "[1]", "\"text\"", "{\"a\": 1", "{\"a\": 1} x", "null"] {
            let document = Document::parse(text);
            assert!(matches!(document, Document::Plain(_)), "{text}");
            let Err(error) = document.fields() else { panic!("{text}") };
            assert_eq!(error.kind(), Kind::BadSecret);
        }
    }

    #[test]
    fn two_json_objects_are_equal_if_only_order_and_spacing_differ() {
        #[track_caller]
        fn check(one: &str, other: &str, expected: Option<&str>) {
            assert_eq!(fields(one).differs_in(&fields(other), &["password"]), expected, "{one} {other}");
        }
        check(
            r#"{"a": 1, "password": "x", "b": {"c": [1]}}"#,
            r#"{"b":{"c":[1]},"a":1,"password":"y"}"#,
            None,
        );
        check(r#"{"a": "\u00fc"}"#, r#"{"a": "ü"}"#, None);
        check(r#"{"a": 5432}"#, r#"{"a": "5432"}"#, Some("a"));
        check(r#"{"a": 1}"#, "{}", Some("a"));
        check("{}", r#"{"a": null}"#, Some("a"));
        check(r#"{"a": 123456789012345678901}"#, r#"{"a": 123456789012345678902}"#, Some("a"));
        check(r#"{"a": [1.50]}"#, r#"{"a":  [1.50]}"#, None);
    }

    #[test]
    fn ports_are_read_as_people_write_them() {
        for text in ["{}", r#"{"port": null}"#, r#"{"port": ""}"#, r#"{"port": " "}"#] {
            assert_eq!(fields(text).port(5432).unwrap(), 5432, "{text}");
        }
        for text in
            [r#"{"port": 6000}"#, r#"{"port": "6000"}"#, r#"{"port": 6000.0}"#, r#"{"port": " 6000 "}"#]
        {
            assert_eq!(fields(text).port(5432).unwrap(), 6000, "{text}");
        }
        for text in [
            r#"{"port": 0}"#,
            r#"{"port": 65536}"#,
            r#"{"port": -1}"#,
            r#"{"port": "x"}"#,
            r#"{"port": 1.5}"#,
            r#"{"port": true}"#,
        ] {
            assert!(fields(text).port(5432).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_and_flags_have_clear_errors() {
        let object =
            fields(r#"{"host": 7, "empty": "", "null": null, "yes": "TRUE", "no": false, "maybe": 1}"#);
        assert_eq!(object.required("host").unwrap_err().to_string(), "the secret's \"host\" is not a string");
        for key in ["empty", "null", "absent"] {
            assert_eq!(object.required(key).unwrap_err().to_string(), format!("the secret has no \"{key}\""));
        }
        assert_eq!((object.flag("yes").unwrap(), object.flag("no").unwrap()), (Some(true), Some(false)));
        assert_eq!(object.flag("absent").unwrap(), None);
        assert!(object.flag("maybe").is_err());
    }

    #[test]
    fn a_value_over_the_services_limit_is_refused() {
        let mut object = fields("{}");
        object.put("note", &"x".repeat(LIMIT));
        let Err(error) = Document::Object(object).to_text() else { panic!("accepted") };
        assert_eq!(error.kind(), Kind::BadSecret);
    }
}
