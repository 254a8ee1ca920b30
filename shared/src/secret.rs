//! Secrets as opaque values, and the scrubber that masks them in text. A secret cannot be printed, compared by accident or
//! serialised. [`Secret::expose`] is the only way to its text, and clippy asks each caller for a reason.

use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::said;

/// A password, key or token. It deliberately has no `Debug`, `Display`, `PartialEq` or `Serialize`. Its memory is wiped when the
/// last holder drops it.
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text. The caller must not keep copies of it.
    pub fn new(text: String) -> Secret {
        Secret(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself. Every call states its reason.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Another holder of the same secret. This is not `Clone`, so that nobody shares a secret by accident.
    #[must_use]
    pub fn share(&self) -> Secret {
        Secret(Arc::clone(&self.0))
    }

    /// Whether two secrets are equal. The time does not depend on the place where they differ.
    pub fn same_as(&self, other: &Secret) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
    }

    /// Whether the secret is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// A piece of a secret is masked if it has at least this many bytes. A server may quote only the *rest* of a statement in a syntax
/// error, and then a part of the password leaks without the whole.
const WINDOW: usize = 8;

/// The mask.
const MASK: &str = "[hidden]";

/// Every secret that one invocation has met.
#[derive(Default)]
pub struct Scrub(Mutex<Vec<Secret>>);

impl Scrub {
    /// Masks this secret from now on.
    pub fn learn(&self, secret: &Secret) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !secret.is_empty() && !known.iter().any(|other| other.same_as(secret)) {
            known.push(secret.share());
        }
    }

    /// A message that may leave the process: what others said in it is masked. Our own words and identifiers stay, because a masked
    /// one would show that the password has it in it.
    pub fn clean(&self, message: &str) -> String {
        said::masked(message, |said| self.hide(said))
    }

    /// A text with every known secret, and every longer piece of one, masked.
    pub fn hide(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hidden = vec![false; text.len()];
        for secret in known.iter() {
            mark(text.as_bytes(), secret.0.as_bytes(), &mut hidden);
        }
        masked(text, &hidden)
    }

    /// Cleans every text of a JSON value. It works on the texts and not on their JSON spelling, because escapes such as
    /// `\"` would hide a secret from the search. Numbers and keys do not change.
    pub fn clean_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.clean(text),
            serde_json::Value::Array(values) => values.iter_mut().for_each(|value| self.clean_json(value)),
            serde_json::Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.clean_json(value));
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }
}

/// Marks the bytes of `text` that belong to any window of `secret`.
fn mark(text: &[u8], secret: &[u8], hidden: &mut [bool]) {
    let window = WINDOW.min(secret.len());
    for start in 0..(text.len() + 1).saturating_sub(window) {
        let piece = &text[start..start + window];
        if secret.windows(window).any(|part| part == piece) {
            hidden[start..start + window].fill(true);
        }
    }
}

/// Replaces each run of marked bytes with the mask, at character boundaries.
fn masked(text: &str, hidden: &[bool]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut inside = false;
    for (at, character) in text.char_indices() {
        let hide = hidden[at..at + character.len_utf8()].contains(&true);
        if !hide {
            clean.push(character);
        } else if !inside {
            clean.push_str(MASK);
        }
        inside = hide;
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secrets: &[&str], text: &str, expected: &str) {
        let scrub = Scrub::default();
        for secret in secrets {
            scrub.learn(&Secret::new((*secret).into()));
        }
        assert_eq!(scrub.hide(text), expected);
    }

    #[test]
    fn a_password_that_is_one_of_our_words_hides_none_of_them() {
        let scrub = Scrub::default();
        scrub.learn(&Secret::new("password".into()));
        let message = format!("the password was refused: {}", said::Said::new("bad password"));
        assert_eq!(scrub.clean(&message), "the password was refused: bad [hidden]");
    }

    #[test]
    fn secrets_and_long_pieces_of_them_are_masked() {
        check(&[], "nothing known", "nothing known");
        check(&[""], "an empty secret hides nothing", "an empty secret hides nothing");
        check(&["correct-horse"], "near 'correct-horse'", "near '[hidden]'");
        check(&["correct-horse"], "near 'rect-horse' at line 1", "near '[hidden]' at line 1");
        check(&["correct-horse"], "correct horses", "correct horses");
        check(&["abc"], "xabcx abc", "x[hidden]x [hidden]");
        check(&["one-secret", "two-secret"], "one-secret two-secret", "[hidden] [hidden]");
        check(&["pässwört-übung"], "war: pässwört-übung!", "war: [hidden]!");
        check(&["longer than the text"], "short", "short");
    }

    #[test]
    fn json_stays_json_whatever_is_hidden_in_it() {
        let scrub = Scrub::default();
        for secret in ["1", "ms", "with\"quotes\\and more"] {
            scrub.learn(&Secret::new(secret.into()));
        }
        let mut value = serde_json::json!({"ms": 112, "words": [said::Said::new("near 'with\"quotes\\and more'").to_string(), true, null]});
        scrub.clean_json(&mut value);
        assert_eq!(value, serde_json::json!({"ms": 112, "words": ["near '[hidden]'", true, null]}));
    }

    #[test]
    fn equality_is_by_content() {
        let secret = Secret::new("a".into());
        assert!(secret.same_as(&secret.share()) && secret.same_as(&Secret::new("a".into())));
        assert!(!secret.same_as(&Secret::new("b".into())) && !secret.same_as(&Secret::new("aa".into())));
    }
}
