//! Searches texts for passwords, in every form that a password can take.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// A piece of this many characters is a leak as well, because servers cut statements short and logs break lines.
const PIECE: usize = 12;

/// Every form of a password, each with its name.
fn forms(password: &str) -> Vec<(&'static str, String)> {
    let bytes = password.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent = |is_plain: fn(u8) -> bool| -> String {
        let escaped =
            |byte: &u8| if is_plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
        bytes.iter().map(escaped).collect()
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let json = Value::from(password).to_string();
    let debug = format!("{password:?}");
    let list = bytes.iter().map(u8::to_string).collect::<Vec<_>>();
    let mut forms = vec![
        ("plain", password.to_owned()),
        ("upper-case hex", hex.to_uppercase()),
        ("hex", hex),
        ("URL-encoded", percent(unreserved)),
        ("URL-encoded whole", percent(|_| false)),
        ("JSON", inside(&json).to_owned()),
        ("JSON in JSON", inside(&Value::from(inside(&json)).to_string()).to_owned()),
        ("Debug", inside(&debug).to_owned()),
        ("SQL", password.replace('\'', "''")),
        ("SQL with backslashes", password.replace('\\', "\\\\").replace('\'', "''")),
        ("a list of bytes", list.join(", ")),
        ("a short list of bytes", list.join(",")),
    ];
    // Base64 of a longer text that contains the password. The password begins at one of three places in a group of four letters.
    for before in 0..3 {
        let text = [vec![0; before], bytes.to_vec()].concat();
        // Leaves out letters that contain bits of a neighbouring byte.
        let (skip, whole) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        forms.push(("base64", STANDARD_NO_PAD.encode(&text)[skip..whole].to_owned()));
        forms.push(("URL-safe base64", URL_SAFE_NO_PAD.encode(&text)[skip..whole].to_owned()));
    }
    let letters: Vec<char> = password.chars().collect();
    forms.extend(letters.windows(PIECE).map(|piece| ("a piece", piece.iter().collect())));
    forms
}

/// Returns the place and the form of the first password found.
pub fn found(passwords: &[&str], texts: &[(&str, &[u8])]) -> Option<String> {
    for (place, bytes) in texts {
        let text = String::from_utf8_lossy(bytes);
        for password in passwords {
            if let Some((form, _)) =
                forms(password).into_iter().find(|(_, form)| text.contains(form.as_str()))
            {
                return Some(format!("{password} is in {place} as {form}"));
            }
        }
    }
    None
}

/// Checks that no text contains any of the passwords.
///
/// # Panics
/// If a text contains one.
#[track_caller]
pub fn absent(passwords: &[&str], texts: &[(&str, &[u8])]) {
    if let Some(leak) = found(passwords, texts) {
        panic!("{leak}");
    }
}

/// The text without the quotes around it.
fn inside(quoted: &str) -> &str {
    &quoted[1..quoted.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = r#"C4n'ary "pa\ss/wörd+of~32 bytes"#;

    #[test]
    fn every_form_is_found_in_the_middle_of_something() {
        for (form, text) in forms(PASSWORD) {
            let log = format!("before {text} after");
            assert!(found(&[PASSWORD], &[("a log", log.as_bytes())]).is_some(), "{form}");
        }
        for prefix in ["", "u", "us", "use"] {
            let whole = STANDARD_NO_PAD.encode(format!("{prefix}{PASSWORD} and more"));
            assert!(found(&[PASSWORD], &[("a header", whole.as_bytes())]).is_some(), "{prefix:?}");
        }
    }

    #[test]
    fn short_and_unrelated_texts_are_not_masked() {
        let hashed = "SCRAM-SHA-256$4096:QSXCR+Q6sek8bf92$C4n'ary";
        assert_eq!(found(&[PASSWORD], &[("a log", hashed.as_bytes())]), None);
    }
}
