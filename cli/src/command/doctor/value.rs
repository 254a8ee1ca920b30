//! The current value, as far as the checks made here need it: shape, size, and what would change when coming from AWS's function.

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::finding::Finding;
use crate::labels::State;

/// "The secret value can be up to 65,536 bytes" (Secrets Manager quotas); a rotation adds a few.
const MOST: usize = 65_536 - 1024;

/// What is kept of a value: never a password.
pub(super) struct Value {
    fields: Map<String, Json>,
    size: usize,
    is_object: bool,
}

/// How clients and server begin to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// PostgreSQL and Redshift.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl Value {
    /// Reads it; a value that may not be read is a finding.
    pub(super) async fn read(account: &Account, state: &State) -> Result<Value, Finding> {
        let Some(current) = state.with("AWSCURRENT") else {
            return Err(Finding::skipped("secret", "nothing is current", None));
        };
        let text = account.value(&state.arn, &current.id).await;
        let text = text.map_err(|failure| Finding::skipped("secret", failure.what, Some(&failure.hint)))?;
        Ok(Value::of(&text.unwrap_or_else(|| Zeroizing::new(String::new()))))
    }

    /// Understands a text, and forgets what is secret in it.
    pub(super) fn of(text: &str) -> Value {
        let parsed: Json = serde_json::from_str(text).unwrap_or_default();
        let mut fields = match parsed {
            Json::Object(fields) => fields,
            _ => return Value { fields: Map::new(), size: text.len(), is_object: false },
        };
        for (name, value) in &mut fields {
            // Nothing below needs more of these than that they are there.
            if ["password", "key", "secret", "token"].iter().any(|word| name.to_lowercase().contains(word)) {
                *value = Json::Bool(!value.as_str().is_some_and(str::is_empty));
            }
        }
        Value { fields, size: text.len(), is_object: true }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.text("username")
    }

    /// Whether an admin acts for this secret.
    pub(super) fn has_admin(&self) -> bool {
        self.text("masterarn").is_some()
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.text("host")
    }

    /// The port, as a number or a text, or the engine's own.
    pub(super) fn port(&self) -> Option<u16> {
        let named = self.fields.get("port").and_then(|port| match port {
            Json::Number(number) => number.as_u64()?.try_into().ok(),
            Json::String(text) => text.parse().ok(),
            _ => None,
        });
        named.or(match self.text("engine")? {
            "redshift" => Some(5439),
            _ if self.wire()? == Wire::Postgres => Some(5432),
            _ => Some(3306),
        })
    }

    pub(super) fn wire(&self) -> Option<Wire> {
        match self.text("engine")? {
            "postgres" | "aurora-postgresql" | "redshift" => Some(Wire::Postgres),
            "mysql" | "aurora-mysql" | "mariadb" => Some(Wire::MySql),
            _ => None,
        }
    }

    /// Only `false`, in any case and as text too, means plaintext.
    pub(super) fn plaintext(&self) -> bool {
        match self.fields.get("ssl") {
            Some(Json::Bool(ssl)) => !ssl,
            Some(Json::String(text)) => text.eq_ignore_ascii_case("false"),
            _ => false,
        }
    }

    pub(super) fn roots(&self) -> Option<&str> {
        self.text("sslrootcert")
    }

    pub(super) fn findings(&self, state: &State) -> Vec<Finding> {
        let mut findings = vec![self.shape()];
        if self.wire().is_some() {
            findings.extend(self.migration(state));
        }
        findings
    }

    fn shape(&self) -> Finding {
        if self.size > MOST {
            let what = format!("{} bytes: no room for a rotation below Secrets Manager's limit", self.size);
            return Finding::fail(
                "secret",
                what,
                "move what is not needed to log in into a secret of its own",
            );
        }
        let Some(engine) = self.text("engine") else {
            let what = if self.is_object { "JSON without \"engine\"" } else { "not a JSON object" };
            let hint = "functions for databases want engine, host, username and password; those for API keys want \"provider\"";
            return match self.text("provider") {
                Some(provider) => {
                    Finding::pass("secret", format!("provider {provider}, {} bytes", self.size))
                }
                None if self.is_object => Finding::fail("secret", what, hint),
                None => Finding::skipped("secret", what, Some(hint)),
            };
        };
        let missing: Vec<&str> = ["host", "username", "password"]
            .into_iter()
            .filter(|name| {
                let empty = [Json::Null, Json::Bool(false), Json::from("")];
                self.fields.get(*name).is_none_or(|value| empty.contains(value))
            })
            .collect();
        if self.wire().is_some() && !missing.is_empty() {
            let what = format!("engine {engine}, but no {}", missing.join(", no "));
            return Finding::fail("secret", what, "add what is missing, under exactly these names");
        }
        Finding::pass("secret", format!("engine {engine}, {} bytes", self.size))
    }

    /// What AWS's functions let pass, or do themselves, and ours do not.
    fn migration(&self, state: &State) -> Vec<Finding> {
        let mut findings = Vec::new();
        let function = state.function().unwrap_or_default();
        if self.plaintext() {
            let hint = "remove \"ssl\" from the secret once the server speaks TLS";
            findings.push(Finding::fail(
                "plaintext",
                "\"ssl\" is false: passwords travel in the clear",
                hint,
            ));
        } else if !self.fields.contains_key("ssl") && function.contains("SecretsManager") {
            // The names that AWS's templates and the console give.
            let what = "AWS's function goes on without TLS where the server has none; Turnlock's refuse";
            findings.push(Finding::skipped(
                "migration-tls",
                what,
                Some("the check tls below says whether this server has it"),
            ));
        }
        let clone = self.text("username").filter(|user| user.ends_with("_clone"));
        if let Some(user) = clone.filter(|_| self.has_admin()) {
            let what = format!(
                "{user} was made by a rotation with alternating users; it must be proven before it is changed"
            );
            let hint = "its password in a version of this secret proves it; otherwise see docs/migrating.md";
            findings.push(Finding::skipped("migration-clone", what, Some(hint)));
        }
        findings
    }
}
