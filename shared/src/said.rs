//! Text that somebody else wrote: what a server, a service or a driver said. It is kept apart from our own words in every message,
//! because only this text can repeat a password, and only this text is masked.

use std::fmt;

/// The longest piece that a message repeats, in bytes.
const PIECE: usize = 4 << 10;

/// The characters between which a message carries such a text. Unicode reserves them for a program's internal use, so no text has
/// them that came from outside: [`Said::new`] takes them out.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// A text of somebody else, cut to a length. In a message it stands between two marks until [`Scrub::clean`] takes them out.
///
/// [`Scrub::clean`]: crate::secret::Scrub::clean
pub struct Said(String);

impl Said {
    /// Takes a text as it came, without the full stop at its end: our sentence goes on.
    pub fn new(text: &str) -> Said {
        let text: String = text.chars().filter(|&letter| letter != OPEN && letter != CLOSE).collect();
        let end = if text.ends_with("..") { None } else { text.strip_suffix('.') };
        Said(cut(end.unwrap_or(&text).to_owned(), PIECE))
    }

    /// The text alone, to look for something in it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OPEN}{}{CLOSE}", self.0)
    }
}

impl From<Said> for String {
    fn from(said: Said) -> String {
        said.to_string()
    }
}

/// A text cut to a length in bytes.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str(" [...]");
    }
    text
}

/// A message without marks, in which `mask` has replaced what others said.
pub(crate) fn masked(message: &str, mask: impl Fn(&str) -> String) -> String {
    let mut parts = message.split(OPEN);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A message that was cut may have lost the second mark.
        let (said, ours) = part.split_once(CLOSE).unwrap_or((part, ""));
        clean.push_str(&mask(said));
        clean.push_str(ours);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        assert_eq!(masked(message, |said| said.replace("key", "[hidden]")), expected);
    }

    #[test]
    fn only_what_others_said_is_masked_wherever_it_stands() {
        check("the key is ours", "the key is ours");
        check(&format!("a key: {}; a key", Said::new("no key here")), "a key: no [hidden] here; a key");
        check(&format!("{}{}", Said::new("key"), Said::new("")), "[hidden]");
    }

    #[test]
    fn a_text_from_outside_cannot_end_its_own_part() {
        check(&Said::new(&format!("a{CLOSE} key {OPEN}")).to_string(), "a [hidden] ");
        let twice = Said::new(&Said::new("key").to_string());
        check(&twice.to_string(), "[hidden]");
    }

    #[test]
    fn a_message_cut_in_the_middle_of_somebody_elses_words_stays_masked() {
        let message = format!("they said {}", Said::new("a key and more"));
        check(&cut(message, 20), "they said a [hidden] a [...]");
    }

    #[test]
    fn a_full_stop_at_the_end_goes_and_an_ellipsis_stays() {
        assert_eq!(Said::new("it failed.").text(), "it failed");
        assert_eq!(Said::new("it failed...").text(), "it failed...");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(Said::new(&"ü".repeat(PIECE)).text().len(), PIECE + " [...]".len());
    }
}
