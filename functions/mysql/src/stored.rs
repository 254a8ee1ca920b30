//! The hashes that MariaDB stores. The function computes them itself, so that the server's logs never show a password. Also reads
//! an account's authentications from `SHOW CREATE USER`.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA512};
use curve25519_dalek::EdwardsPoint;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::encode::{base64, hex};

use crate::account::Name;

/// MariaDB's default plugin, and the only one with which this function gives an account two passwords.
pub(crate) const NATIVE: &str = "mysql_native_password";
/// MariaDB's plugin with elliptic curves.
pub(crate) const ED25519: &str = "ed25519";

/// The hash that the server stores for a password under a plugin; `None` for plugins that this file does not know.
#[expect(clippy::disallowed_methods, reason = "exposes the password to be hashed")]
pub(crate) fn hash(plugin: &str, password: &Secret) -> Option<Secret> {
    match plugin {
        NATIVE => Some(Secret::new(native(password.expose().as_bytes()))),
        ED25519 => Some(Secret::new(ed25519(password.expose().as_bytes()))),
        _ => None,
    }
}

/// The same hash, or an error that says what to do instead.
pub(crate) fn known_hash(plugin: &str, password: &Secret) -> Result<Secret> {
    hash(plugin, password).ok_or_else(|| {
        let what = format!("what the server stores for a {plugin} password cannot be computed here");
        Error::new(Kind::ServerRefused, what).remedy(
            "set PASSWORD_FORM=plaintext (the server's logs will show the statement), or give the account ed25519 or \
             mysql_native_password",
        )
    })
}

/// `*` and SHA1(SHA1(password)) in hexadecimal (MariaDB documentation, "Authentication Plugin - mysql_native_password").
fn native(password: &[u8]) -> String {
    let once = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, password);
    let twice = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, once.as_ref());
    format!("*{}", hex(twice.as_ref()).to_uppercase())
}

/// The public key whose secret scalar is SHA512(password), in base64 without padding (MariaDB documentation, "Authentication
/// Plugin - ed25519"). Plain Ed25519 hashes a seed; MariaDB hashes the password in its place.
fn ed25519(password: &[u8]) -> String {
    let hash = digest::digest(&SHA512, password);
    let (scalar, _) = hash.as_ref().split_first_chunk().expect("SHA-512 has 64 bytes");
    base64(EdwardsPoint::mul_base_clamped(*scalar).compress().as_bytes()).trim_end_matches('=').to_owned()
}

/// The mark that an admin gives an account on MariaDB: a hash of no password, made from the ARN and the account's name.
pub(crate) fn placeholder(secret_arn: &str, name: &Name) -> String {
    of_nobody("mark", secret_arn, name)
}

/// The hash of an unfinished MariaDB account. It belongs to no password, so nobody can log in. Only an admin can have written it,
/// so it is a mark as well.
pub(crate) fn unfinished(secret_arn: &str, name: &Name) -> String {
    of_nobody("unfinished", secret_arn, name)
}

fn of_nobody(kind: &str, secret_arn: &str, name: &Name) -> String {
    let text = format!("turnlock {kind}\0{secret_arn}\0{}\0{}", name.user, name.host);
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    format!("*{}", hex(&hash.as_ref()[..20]).to_uppercase())
}

/// The password of an unfinished account on a server that takes no hashes. Anybody can compute this password, so the account is locked
/// too.
pub(crate) fn placeholder_password(secret_arn: &str, name: &Name) -> Secret {
    Secret::new(format!("Turnlock-mark-1-{}", &placeholder(secret_arn, name)[1..]))
}

/// One authentication of an account.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Method {
    /// The plugin.
    pub plugin: String,
    /// The hash or text that the server stores for it, if any.
    pub stored: Option<String>,
}

impl Method {
    /// Whether this password opens the account by this method. Works only for plugins whose hashes this file can compute.
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes a hash to be compared with the one that the server stores"
    )]
    pub(crate) fn is_opened_by(&self, password: &Secret) -> bool {
        hash(&self.plugin, password).is_some_and(|hash| self.stored.as_deref() == Some(hash.expose()))
    }

    /// Whether the server itself checks a password, instead of asking the operating system or a directory.
    pub(crate) fn has_password(&self) -> bool {
        !matches!(self.plugin.as_str(), "unix_socket" | "auth_socket" | "pam" | "gssapi" | "named_pipe")
    }

    /// A method of MariaDB's native plugin.
    pub(crate) fn native(hash: &str) -> Method {
        Method { plugin: NATIVE.to_owned(), stored: Some(hash.to_owned()) }
    }
}

/// Reads the methods of a MariaDB account, in order, from the server's `CREATE USER` text:
/// `` CREATE USER `u`@`h` IDENTIFIED VIA ed25519 USING '...' OR mysql_native_password USING '...' REQUIRE ... ``.
pub(crate) fn methods(created: &str) -> Result<Vec<Method>> {
    let mut words = Words(created);
    let understood = (|| {
        loop {
            match words.next() {
                Some(word) if word == "IDENTIFIED" => break,
                Some(_) => {}
                // The account has no password.
                None => return Some(Vec::new()),
            }
        }
        if words.next()? == "BY" {
            words.next().filter(|word| word == "PASSWORD")?;
            return Some(vec![Method::native(&words.next()?)]);
        }
        let mut methods = vec![Method { plugin: words.next()?, stored: None }];
        loop {
            match words.next().as_deref() {
                Some("USING" | "AS") => methods.last_mut()?.stored = Some(words.next()?),
                Some("OR") => methods.push(Method { plugin: words.next()?, stored: None }),
                _ => return Some(methods),
            }
        }
    })();
    understood
        .ok_or_else(|| Error::new(Kind::Bug, "the server's description of the account is not understood"))
}

/// The words of a statement as the server prints it. A quoted text counts as one word, without its quotes.
struct Words<'a>(&'a str);

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        let quote = text.chars().next()?;
        if !matches!(quote, '\'' | '`' | '"') {
            let end = text.find([' ', '@', '\'', '`']).unwrap_or(text.len()).max(1);
            let (word, rest) = text.split_at(end);
            self.0 = rest;
            return Some(word.to_owned());
        }
        let mut word = String::new();
        let mut characters = text.char_indices().skip(1).peekable();
        while let Some((at, character)) = characters.next() {
            if character == '\\' && quote != '`' {
                word.push(characters.next()?.1);
            } else if character != quote {
                word.push(character);
            } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
                word.push(quote);
                characters.next();
            } else {
                self.0 = &text[at + quote.len_utf8()..];
                return Some(word);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values, from a MariaDB 10.11's PASSWORD() and ED25519 plugin. Do not regenerate them from this code.
    #[test]
    fn hashes_are_those_of_the_server() {
        assert_eq!(native(b"b"), "*F33AE6DD04EF4C7C1D3105568E7FB7C1EE16C937");
        assert_eq!(native(b"Canary-OLD-pass-11"), "*A792AAFBAAC48713D1514C82F2F81F9C51108ABF");
        assert_eq!(ed25519(b"a"), "GvRmi9ungFjJD9sKjaq/T3CL1LmO2CLpz5I42gnB7Eg");
    }

    #[track_caller]
    fn check(created: &str, expected: &[(&str, Option<&str>)]) {
        let methods = methods(created).unwrap();
        let seen: Vec<_> =
            methods.iter().map(|method| (method.plugin.as_str(), method.stored.as_deref())).collect();
        assert_eq!(seen, expected, "{created}");
    }

    #[test]
    fn methods_are_read_in_order_whatever_the_account_is_called() {
        check("CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*A7' REQUIRE SSL", &[(NATIVE, Some("*A7"))]);
        check(
            "CREATE USER `a``b IDENTIFIED BY`@`%` IDENTIFIED VIA ed25519 USING 'G/8' OR mysql_native_password USING '*F3' OR unix_socket",
            &[(ED25519, Some("G/8")), (NATIVE, Some("*F3")), ("unix_socket", None)],
        );
        check("CREATE USER `x`@`h` IDENTIFIED VIA unix_socket ACCOUNT LOCK", &[("unix_socket", None)]);
        check("CREATE USER `x`@`h` IDENTIFIED VIA pam USING 'it''s OR'", &[("pam", Some("it's OR"))]);
        check("CREATE USER `x`@`h`", &[]);
        for text in ["CREATE USER `x`@`h` IDENTIFIED", "CREATE USER `x`@`h` IDENTIFIED BY PASSWORD 'x"] {
            assert_eq!(methods(text).map(|_| ()).unwrap_err().kind(), Kind::Bug, "{text}");
        }
    }
}
