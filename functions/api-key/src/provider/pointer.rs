//! A place in an answer: a JSON pointer (RFC 6901), or a header.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;

/// A JSON pointer. The empty pointer means the whole answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(String);

/// A place in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the body.
    Body(Pointer),
    /// `header:NAME`.
    Header(String),
}

impl Pointer {
    /// The value at this place. Null counts as no value.
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.pointer(&self.0).filter(|found| !found.is_null())
    }

    /// The value at this place as text; a number counts as text. The error names the place, never the value.
    pub fn text(&self, value: &Value) -> Result<Option<String>, String> {
        match self.find(value) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(format!("{self} in the answer is not a text")),
        }
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { f.write_str("the whole") } else { f.write_str(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pointer, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.starts_with('/') {
            Ok(Pointer(text))
        } else {
            Err(D::Error::custom(format!(
                "{text:?} is not a JSON pointer: it begins with a slash, such as \"/data/id\""
            )))
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("header:") {
            Some(name) if http::HeaderName::try_from(name).is_ok() => Ok(Source::Header(name.to_owned())),
            Some(name) => Err(D::Error::custom(format!("{name:?} is not the name of a header"))),
            None if text.is_empty() || text.starts_with('/') => Ok(Source::Body(Pointer(text))),
            None => Err(D::Error::custom(format!(
                "{text:?} is neither a JSON pointer such as \"/data/key\" nor a header such as \"header:X-Key\""
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_and_wrong_types_named() {
        let answer = json!({"data": [{"id": 7, "name": "n", "gone": null, "list": []}]});
        let text = |pointer: &str| Pointer(pointer.into()).text(&answer);
        assert_eq!(text("/data/0/id"), Ok(Some("7".into())));
        assert_eq!(text("/data/0/name"), Ok(Some("n".into())));
        assert_eq!((text("/data/0/gone"), text("/data/9/id")), (Ok(None), Ok(None)));
        assert_eq!(text("/data/0/list"), Err("/data/0/list in the answer is not a text".into()));
    }
}
