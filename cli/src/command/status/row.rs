//! One secret in the table of `status`.

use aws_sdk_secretsmanager::types::SecretListEntry;
use serde_json::{Value, json};

use crate::account::Account;
use crate::labels::{CURRENT, PENDING, moment, now};
use crate::screen::Paint;

/// What a secret's rotation is like, what needs attention first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    Stuck,
    Overdue,
    Off,
    Never,
    Fine,
    None,
}

impl Condition {
    pub(super) fn of(secret: &SecretListEntry) -> Condition {
        let versions = secret.secret_versions_to_stages.iter().flatten();
        let stuck = versions.into_iter().any(|(_, labels)| {
            labels.iter().any(|it| it == PENDING) && !labels.iter().any(|it| it == CURRENT)
        });
        let overdue = secret.next_rotation_date.is_some_and(|next| next < now());
        match (secret.rotation_enabled, &secret.rotation_lambda_arn) {
            _ if stuck => Condition::Stuck,
            (Some(true), _) if overdue => Condition::Overdue,
            (Some(true), _) if secret.last_rotated_date.is_none() => Condition::Never,
            (Some(true), _) => Condition::Fine,
            (_, Some(_)) => Condition::Off,
            (_, None) => Condition::None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Condition::Stuck => "stuck",
            Condition::Overdue => "overdue",
            Condition::Off => "off",
            Condition::Never => "never yet",
            Condition::Fine => "fine",
            Condition::None => "none",
        }
    }

    pub(super) fn paint(self) -> Paint {
        match self {
            Condition::Stuck | Condition::Overdue => Paint::Bad,
            Condition::Off | Condition::Never => Paint::Careful,
            Condition::Fine => Paint::Good,
            Condition::None => Paint::Faint,
        }
    }
}

/// One line of the table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) condition: Condition,
    /// Days since the password was made: since the last rotation, else since the secret was.
    pub(super) age: i64,
    pub(super) last: Option<String>,
    pub(super) next: Option<String>,
    pub(super) function: Option<String>,
    /// Where the current value is to be read, if at all.
    current: Option<(String, String)>,
    pub(super) strategy: Option<String>,
}

impl Row {
    pub(super) fn of(secret: SecretListEntry) -> Row {
        let condition = Condition::of(&secret);
        let made = secret.last_rotated_date.or(secret.created_date);
        let labels = secret.secret_versions_to_stages.iter().flatten();
        let current = labels.into_iter().find(|(_, labels)| labels.iter().any(|label| label == CURRENT));
        let current = secret.arn.clone().zip(current.map(|(version, _)| version.clone()));
        Row {
            name: secret.name.unwrap_or_default(),
            condition,
            age: made.map_or(0, |at| (now().secs() - at.secs()).max(0) / 86_400),
            last: secret.last_rotated_date.map(moment),
            next: secret.next_rotation_date.map(moment),
            function: secret
                .rotation_lambda_arn
                .map(|arn| arn.rsplit(':').next().unwrap_or_default().to_owned()),
            current,
            strategy: None,
        }
    }

    /// Reads the value for the strategy in it. One that may not be read leaves the column empty.
    pub(super) async fn read_strategy(&mut self, account: &Account) {
        let Some((arn, version)) = &self.current else { return };
        let value = account.value(arn, version).await.ok().flatten();
        self.strategy = value.and_then(|text| strategy(&text));
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name, "condition": self.condition.name(), "age_days": self.age, "last": self.last,
            "next": self.next, "function": self.function, "strategy": self.strategy,
        })
    }
}

/// The strategy that a value asks for: by name, or by its shape as every function of ours reads it.
fn strategy(text: &str) -> Option<String> {
    let fields: Value = serde_json::from_str(text).ok()?;
    let has = |name: &str| fields[name].as_str().is_some_and(|text| !text.is_empty());
    if has("strategy") {
        return fields["strategy"].as_str().map(str::to_owned);
    }
    match fields["engine"].as_str() {
        _ if has("provider") => Some("two-keys".to_owned()),
        Some("api-key") => Some("two-keys".to_owned()),
        Some(_) if has("masterarn") => Some("(alternating-users)".to_owned()),
        Some(_) => Some("(single-user)".to_owned()),
        None => None,
    }
}
