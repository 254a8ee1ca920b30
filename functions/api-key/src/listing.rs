//! Reads a service's list of keys, page by page: the keys in an answer, and where the next page begins.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use rotation::said::Said;
use rotation::secret::Secret;
use serde_json::Value;

use crate::provider::pointer::Pointer;
use crate::provider::schema::Call;

/// A key as the service lists it.
pub(crate) struct Entry {
    /// The service's id of the key.
    pub id: String,
    /// The name that the key was given.
    pub label: Option<String>,
    /// The key's value, if the service shows it.
    pub key: Option<Secret>,
    /// When the key was made.
    pub created: Option<SystemTime>,
}

impl Entry {
    /// The id for a log line. Some services take the key itself for its id.
    pub(crate) fn said_id(&self) -> Said {
        Said::new(&self.id)
    }

    /// Whether the key's name begins with this prefix.
    pub(crate) fn is_under(&self, prefix: &str) -> bool {
        self.label.as_ref().is_some_and(|label| label.starts_with(prefix))
    }
}

/// The keys at the service, and the service's time.
#[derive(Default)]
pub(crate) struct Listing {
    /// The keys, each once.
    pub entries: Vec<Entry>,
    /// When they were listed, by the service's clock.
    pub date: Option<SystemTime>,
    seen: BTreeSet<String>,
}

impl Listing {
    /// Adds the keys of a page. Returns whether one of them was new.
    pub(crate) fn add(&mut self, page: Vec<Entry>) -> bool {
        let before = self.entries.len();
        let new = page.into_iter().filter(|entry| self.seen.insert(entry.id.clone()));
        self.entries.extend(new);
        self.entries.len() > before
    }
}

pub(crate) fn entries(call: &Call, json: &Value) -> Result<Vec<Entry>, String> {
    let place = call.entries.as_ref().ok_or("there are no entries")?;
    let list = match place.find(json) {
        Some(Value::Array(list)) => list,
        _ => return Err(format!("{place} in the answer is not a list")),
    };
    let entry = |value: &Value| {
        let text = |pointer: &Option<Pointer>| match pointer {
            None => Ok(None),
            Some(pointer) => pointer.text(value),
        };
        let id = text(&call.id)?.filter(|id| !id.is_empty()).ok_or("a key in the list has no id")?;
        let (label, key, created) =
            (text(&call.label)?, text(&call.key)?.map(Secret::new), text(&call.created)?);
        Ok(Entry { id, label, key, created: created.as_deref().and_then(moment) })
    };
    list.iter().map(entry).collect()
}

/// Where the next page begins: the text in the answer, or a parameter of the URL there.
pub(crate) fn next(call: &Call, json: &Value) -> Result<Option<String>, String> {
    let Some(place) = &call.next else { return Ok(None) };
    let next = place.text(json)?.filter(|next| !next.is_empty());
    Ok(match &call.next_param {
        None => next,
        Some(param) => next.and_then(|url| parameter(&url, param)),
    })
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1.split('#').next()?;
    let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(known, _)| *known == name))?.1;
    Some(decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads RFC 3339, or seconds since 1970.
fn moment(text: &str) -> Option<SystemTime> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()));
    }
    SystemTime::try_from(DateTime::from_str(text, Format::DateTimeWithOffset).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_services_write_them() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(moment("1700000000"), at(1_700_000_000));
        assert_eq!(moment("2023-11-14T22:13:20Z"), at(1_700_000_000));
        assert_eq!(moment("2023-11-14T23:13:20+01:00"), at(1_700_000_000));
        assert_eq!(
            moment("2023-11-14T22:13:20.5Z"),
            Some(at(1_700_000_000).unwrap() + Duration::from_millis(500))
        );
        for text in ["", "yesterday", "-1", "2023-11-14"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn percent_encoding_is_undone_and_broken_encoding_left_alone() {
        assert_eq!(decoded("a%3Db%2"), "a=b%2");
        assert_eq!(decoded("%zz%C3%BC"), "%zzü");
    }
}
