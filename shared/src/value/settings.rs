//! Reads the function's environment once per process into typed values. Names and defaults are those of AWS's functions.

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::value::strategy::Strategy;

/// The seven settings of AWS's functions for new passwords. `None` means the target's own default.
#[derive(Clone, Debug, Default)]
pub struct PasswordSettings {
    /// `PASSWORD_LENGTH`. It is parsed only when a password is made, so that a wrong value fails createSecret and no other step.
    pub length: Option<String>,
    /// `EXCLUDE_CHARACTERS`. An empty text excludes nothing.
    pub exclude: Option<String>,
    /// `EXCLUDE_LOWERCASE`.
    pub no_lowercase: bool,
    /// `EXCLUDE_UPPERCASE`.
    pub no_uppercase: bool,
    /// `EXCLUDE_NUMBERS`.
    pub no_digits: bool,
    /// `EXCLUDE_PUNCTUATION`.
    pub no_punctuation: bool,
    /// Whether `REQUIRE_EACH_INCLUDED_TYPE` is off, so that a password may miss a type.
    pub any_mix: bool,
}

/// The form in which a password is sent to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordForm {
    /// As a hash, if the server takes one, so that a server's log does not show the password.
    Hashed,
    /// As the password itself, for servers that insist on judging it.
    Plaintext,
}

/// The settings of the deployment.
pub struct Settings {
    /// `ROTATION_STRATEGY`. A secret's own "strategy" wins.
    pub strategy: Option<Strategy>,
    /// How passwords are made.
    pub password: PasswordSettings,
    /// `PASSWORD_FORM`.
    pub form: PasswordForm,
    /// `ADMIN_RESET`: whether the admin may reset a user if no stored password works.
    pub admin_reset: bool,
    /// `ALLOW_DIAGNOSE`: whether the function answers the diagnose event.
    pub allow_diagnose: bool,
    /// `ALLOW_PRIVATE_ADDRESSES`: whether HTTP targets may be called at private addresses.
    pub allow_private: bool,
    /// `EXTRA_CA_PEM` and `SSL_CERT_FILE`: more roots to trust, as PEM.
    pub extra_roots: Option<String>,
    /// `USERNAME_CHARACTER_LIMIT`, a lower limit than the server's.
    pub username_limit: Option<usize>,
}

impl Settings {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Settings> {
        Settings::read(&|name| std::env::var(name).ok())
    }

    /// Reads an environment.
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Settings> {
        let on = |name: &str| env(name).as_deref().map(truth);
        Ok(Settings {
            strategy: env("ROTATION_STRATEGY")
                .filter(|name| !name.is_empty())
                .map(|name| strategy(&name))
                .transpose()?,
            password: PasswordSettings {
                length: env("PASSWORD_LENGTH"),
                exclude: env("EXCLUDE_CHARACTERS"),
                no_lowercase: on("EXCLUDE_LOWERCASE").unwrap_or(false),
                no_uppercase: on("EXCLUDE_UPPERCASE").unwrap_or(false),
                no_digits: on("EXCLUDE_NUMBERS").unwrap_or(false),
                no_punctuation: on("EXCLUDE_PUNCTUATION").unwrap_or(false),
                any_mix: !on("REQUIRE_EACH_INCLUDED_TYPE").unwrap_or(true),
            },
            form: form(env("PASSWORD_FORM"))?,
            admin_reset: on("ADMIN_RESET").unwrap_or(false),
            allow_diagnose: on("ALLOW_DIAGNOSE").unwrap_or(false),
            allow_private: on("ALLOW_PRIVATE_ADDRESSES").unwrap_or(false),
            extra_roots: extra_roots(env)?,
            username_limit: env("USERNAME_CHARACTER_LIMIT").map(|text| limit(&text)).transpose()?,
        })
    }
}

/// Reads a boolean as AWS's functions do: everything but these words means no, and spaces count.
fn truth(text: &str) -> bool {
    ["true", "1", "y", "yes"].contains(&text.to_lowercase().as_str())
}

fn strategy(name: &str) -> Result<Strategy> {
    Strategy::parse(name).ok_or_else(|| {
        setting("ROTATION_STRATEGY", &format!("is one of {}", Strategy::names(&Strategy::ALL)))
    })
}

fn form(text: Option<String>) -> Result<PasswordForm> {
    match text.as_deref() {
        None | Some("" | "hashed") => Ok(PasswordForm::Hashed),
        Some("plaintext") => Ok(PasswordForm::Plaintext),
        Some(_) => Err(setting("PASSWORD_FORM", "is \"hashed\" or \"plaintext\"")),
    }
}

fn limit(text: &str) -> Result<usize> {
    text.parse().map_err(|_| setting("USERNAME_CHARACTER_LIMIT", "is a number"))
}

/// Reads both variables, if set: PEM text, or the path of a file.
fn extra_roots(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>> {
    let mut roots = String::new();
    for name in ["EXTRA_CA_PEM", "SSL_CERT_FILE"] {
        let Some(value) = env(name).filter(|value| !value.trim().is_empty()) else { continue };
        if value.contains("-----BEGIN") {
            roots.push_str(&value);
        } else {
            let text = std::fs::read_to_string(Path::new(&value))
                .map_err(|error| setting(name, "is PEM text or the path of a PEM file").because(&error))?;
            roots.push_str(&text);
        }
        roots.push('\n');
    }
    Ok((!roots.is_empty()).then_some(roots))
}

fn setting(name: &str, rule: &str) -> Error {
    Error::new(Kind::BadPolicy, format!("the environment variable {name} cannot be used: it {rule}"))
        .remedy(format!("correct {name} in the function's configuration; nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(&|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_means_the_defaults() {
        let settings = read(&[]).unwrap();
        assert!(
            settings.strategy.is_none()
                && settings.extra_roots.is_none()
                && settings.username_limit.is_none()
        );
        assert!(!settings.admin_reset && !settings.allow_diagnose && !settings.password.any_mix);
        assert_eq!(settings.form, PasswordForm::Hashed);
    }

    #[test]
    fn the_strategy_of_the_deployment_is_read() {
        let strategy = |name| read(&[("ROTATION_STRATEGY", name)]).unwrap().strategy;
        for known in Strategy::ALL {
            assert_eq!(strategy(known.name()), Some(known));
        }
        assert_eq!(strategy(""), None);
    }

    #[test]
    fn booleans_are_read_as_aws_reads_them() {
        for (text, expected) in [
            ("true", true),
            ("TRUE", true),
            ("1", true),
            ("y", true),
            ("Yes", true),
            (" true", false),
            ("on", false),
            ("", false),
        ] {
            assert_eq!(read(&[("EXCLUDE_NUMBERS", text)]).unwrap().password.no_digits, expected, "{text:?}");
            assert_eq!(
                read(&[("REQUIRE_EACH_INCLUDED_TYPE", text)]).unwrap().password.any_mix,
                !expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_error_names_a_variable_that_cannot_be_used() {
        for name in ["ROTATION_STRATEGY", "PASSWORD_FORM", "USERNAME_CHARACTER_LIMIT", "EXTRA_CA_PEM"] {
            let Err(error) = read(&[(name, "/no/such thing")]) else { panic!("{name} accepted") };
            assert!(error.kind() == Kind::BadPolicy && error.to_string().contains(name), "{error}");
        }
    }
}
