//! The passwords that Redshift accepts (AWS, "CREATE USER", parameter PASSWORD).

use super::refusal::{Refusal, syntax};

/// A password in a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Password {
    /// A password for PostgreSQL to store, in clear text or hashed.
    Kept(String),
    /// A `sha256|` password. A login with it has to answer Redshift's own digest request.
    Digest(String),
}

/// Reads a password, and refuses those that Redshift refuses.
pub(super) fn read(text: &str) -> Result<Password, Refusal> {
    if let Some(hash) = text.strip_prefix("md5").filter(|hash| is_hex(hash, 32)) {
        return Ok(Password::Kept(format!("md5{}", hash.to_lowercase())));
    }
    if let Some(rest) = text.strip_prefix("sha256|") {
        return match rest.split_once('|') {
            Some((digest, salt)) if is_hex(digest, 64) && is_hex(salt, 64) => {
                Ok(Password::Digest(rest.to_owned()))
            }
            Some(_) => Err(syntax("invalid SHA256 digest or salt")),
            None => judge(rest).map(|()| Password::Digest(rest.to_owned())),
        };
    }
    judge(text).map(|()| Password::Kept(text.to_owned()))
}

fn judge(password: &str) -> Result<(), Refusal> {
    let has = |test: fn(char) -> bool| password.chars().any(test);
    let wrong = if !(8..=64).contains(&password.len()) {
        "be 8 to 64 characters long"
    } else if !has(|c| c.is_ascii_uppercase()) {
        "contain an uppercase letter"
    } else if !has(|c| c.is_ascii_lowercase()) {
        "contain a lowercase letter"
    } else if !has(|c| c.is_ascii_digit()) {
        "contain a number"
    } else if has(|c| !c.is_ascii_graphic() || "'\"\\/@".contains(c)) {
        "contain only ASCII characters 33-126 without ' \" \\ / @"
    } else {
        return Ok(());
    };
    // AWS documents the rules and not the code. This is PostgreSQL's code for an invalid value.
    Err(Refusal { code: "22023", text: format!("password must {wrong}") })
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redshifts_rules_are_kept() {
        let longest = format!("aB1{}", "x".repeat(61));
        for good in ["abcD1234", &longest, "aB1!#$%&()*+,-.:;<=>?[]^_`{|}~"] {
            assert_eq!(read(good), Ok(Password::Kept(good.to_owned())), "{good}");
        }
        let too_long = format!("{longest}x");
        for bad in [
            "",
            "aB1aB1a",
            &too_long,
            "ABCD1234",
            "abcd1234",
            "abcdEFGH",
            "abcD 1234",
            "abcD'1234",
            "abcD\"1234",
            "abcD\\1234",
            "abcD/1234",
            "abcD@1234",
            "abcDü1234",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn both_hashes_are_told_from_passwords() {
        let md5 = "md5153c434b4b77c89e6b94f12c5393af5b";
        assert_eq!(read(md5), Ok(Password::Kept(md5.to_owned())));
        assert_eq!(read("sha256|Mypassword1"), Ok(Password::Digest("Mypassword1".to_owned())));
        let own = format!("{}|{}", "a".repeat(64), "0".repeat(64));
        assert_eq!(read(&format!("sha256|{own}")), Ok(Password::Digest(own)));
        // This is no hash, and as a password it lacks an uppercase letter.
        assert!(read("md5153c434b4b77c89e6b94f12c5393af5").is_err());
        assert!(read("sha256|short").is_err() && read("sha256|ab|cd").is_err());
    }
}
