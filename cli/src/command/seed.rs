//! Reads the file with a lab's first secrets.

use std::collections::BTreeMap;
use std::path::Path;

use lab::Lab;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// One secret. It has no `Debug`, because it holds the value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Entry {
    /// A text, or a table that becomes JSON.
    value: Value,
    /// The name of an attached function.
    function: Option<String>,
    /// When it rotates, such as `rate(10 days)`.
    schedule: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A secret to begin with.
pub(super) struct Seed {
    name: String,
    entry: Entry,
}

/// Reads a file: one table for each secret, under its name.
pub(super) fn read(path: &Path) -> Result<Vec<Seed>, Failure> {
    let wrong = |why: String| {
        Failure::usage(
            format!("{}: {why}", path.display()),
            "each secret is a table: [\"prod/app\"] with value = { username = \"app\", ... }, and function = NAME if it rotates",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    // The TOML reader's own message would show the line, which may hold a password.
    let entries: BTreeMap<String, Entry> = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        wrong(format!("line {line}: {}", without_values(error.message())))
    })?;
    Ok(entries.into_iter().map(|(name, entry)| Seed { name, entry }).collect())
}

/// The TOML reader's message without the value that it quotes, because that value may be a password.
fn without_values(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((quoted, wanted)) if quoted.starts_with("invalid type") => {
            format!("this should be {}", wanted.replace("a map", "a table"))
        }
        _ => message.to_owned(),
    }
}

impl Seed {
    /// Creates the secret, unless the lab's state file already has it.
    pub(super) fn plant(&self, lab: &Lab) -> Result<(), Failure> {
        let Seed { name, entry } = self;
        let refused = |refusal: lab::secrets::Refusal| {
            Failure::usage(format!("secret {name} cannot be made: {refusal}"), "correct the seed file")
        };
        let value = match &entry.value {
            Value::String(text) => text.clone(),
            table => table.to_string(),
        };
        let secrets = lab.secrets();
        if secrets.arn(name).is_ok() {
            return Ok(());
        }
        secrets.create(name, &value).map_err(refused)?;
        if let Some(description) = &entry.description {
            let update = json!({"SecretId": name, "Description": description, "ClientRequestToken": token()});
            secrets.call("UpdateSecret", update).map_err(refused)?;
        }
        if !entry.tags.is_empty() {
            let tags: Vec<_> =
                entry.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            secrets.call("TagResource", json!({"SecretId": name, "Tags": tags})).map_err(refused)?;
        }
        if let Some(function) = &entry.function {
            secrets.enable_rotation(name, function).map_err(refused)?;
        }
        if let Some(schedule) = &entry.schedule {
            // As in the real service, this runs testSecret once.
            let rules = json!({"ScheduleExpression": schedule});
            let request = json!({
                "SecretId": name, "RotationRules": rules, "RotateImmediately": false, "ClientRequestToken": token(),
            });
            secrets.call("RotateSecret", request).map_err(refused)?;
        }
        Ok(())
    }
}

/// A token for one request; the service refuses a request without one.
fn token() -> String {
    format!("{:032x}", rand::random::<u128>())
}
