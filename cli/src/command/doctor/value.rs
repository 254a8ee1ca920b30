//! Checks the current value: its shape, its size, and what would change after a move from AWS's function.

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::finding::Finding;
use crate::labels::State;

/// "The secret value can be up to 65,536 bytes" (Secrets Manager quotas). A rotation adds a few bytes.
const MOST: usize = 65_536 - 1024;

/// The parts of a value that the checks need, never a password.
pub(super) struct Value {
    fields: Map<String, Json>,
    size: usize,
    is_object: bool,
}

/// The protocol with which a client greets the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// PostgreSQL and Redshift.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl Value {
    /// Reads the value. A value that may not be read is a finding.
    pub(super) async fn read(account: &Account, state: &State) -> Result<Value, Finding> {
        let Some(current) = state.with("AWSCURRENT") else {
            return Err(Finding::skipped("secret", "no version is current", None));
        };
        let text = account.value(&state.arn, &current.id).await;
        let text = text.map_err(|failure| Finding::skipped("secret", failure.what, Some(&failure.hint)))?;
        Ok(Value::of(&text.unwrap_or_else(|| Zeroizing::new(String::new()))))
    }

    /// Parses a text and drops the secret parts.
    pub(super) fn of(text: &str) -> Value {
        let parsed: Json = serde_json::from_str(text).unwrap_or_default();
        let mut fields = match parsed {
            Json::Object(fields) => fields,
            _ => return Value { fields: Map::new(), size: text.len(), is_object: false },
        };
        for (name, value) in &mut fields {
            // The checks only need to know whether these fields have a value.
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

    /// Whether "ssl" is false, as a boolean or as text in any case.
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
            let what =
                format!("{} bytes, which leaves a rotation no room below Secrets Manager's limit", self.size);
            return Finding::fail(
                "secret",
                what,
                "move the fields that no login needs into a secret of their own",
            );
        }
        let Some(engine) = self.text("engine") else {
            let what = if self.is_object { "JSON without \"engine\"" } else { "not a JSON object" };
            let hint = "functions for databases need engine, host, username and password; functions for API keys need \"provider\"";
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
            return Finding::fail("secret", what, "add the missing fields, under exactly these names");
        }
        Finding::pass("secret", format!("engine {engine}, {} bytes", self.size))
    }

    /// Findings about habits of AWS's functions that ours do not share.
    fn migration(&self, state: &State) -> Vec<Finding> {
        let mut findings = Vec::new();
        let function = state.function().unwrap_or_default();
        if self.plaintext() {
            let hint = "remove \"ssl\" from the secret once the server speaks TLS";
            findings.push(Finding::fail(
                "plaintext",
                "\"ssl\" is false: passwords travel in clear text",
                hint,
            ));
        } else if !self.fields.contains_key("ssl") && function.contains("SecretsManager") {
            // AWS's templates and the console give functions such names.
            let what =
                "AWS's function goes on without TLS if the server has none; Turnlock's functions refuse";
            findings.push(Finding::skipped(
                "migration-tls",
                what,
                Some("the check tls below says whether this server has TLS"),
            ));
        }
        let clone = self.text("username").filter(|user| user.ends_with("_clone"));
        if let Some(user) = clone.filter(|_| self.has_admin()) {
            let what = format!(
                "a rotation with alternating users made {user}; a rotation must prove the user before it changes it"
            );
            let hint = "a version of this secret with the user's password proves it; otherwise see docs/migrating.md";
            findings.push(Finding::skipped("migration-clone", what, Some(hint)));
        }
        findings
    }
}
