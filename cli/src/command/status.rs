//! `turnlock status`: lists every secret that rotates, those that need attention first.

use std::path::PathBuf;

use aws_sdk_secretsmanager::types::SecretListEntry;
use clap::Args;
use serde_json::{Value, json};

use crate::account::{Account, Place};
use crate::failure::{Exit, Failure};
use crate::labels::{CURRENT, PENDING, moment, now};
use crate::screen::{Paint, Screen};

mod page;

/// List secrets with the age of their passwords: stuck and overdue ones first.
///
/// Reads no values unless --strategy asks for them. The exit code is 1 if a rotation is stuck or overdue.
#[derive(Args)]
pub(crate) struct Status {
    /// List secrets without rotation too.
    #[arg(long)]
    all: bool,
    /// Only secrets with this tag; may be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Read each secret's value, and show its strategy. In parentheses the strategy follows from the secret's shape, and the
    /// function's ROTATION_STRATEGY can change it.
    #[arg(long)]
    strategy: bool,
    /// Write one self-contained page with a chart of ages.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "write it as KEY=VALUE".to_owned())
}

/// The condition of a secret's rotation. Conditions that need attention come first.
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
    fn of(secret: &SecretListEntry) -> Condition {
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

    fn paint(self) -> Paint {
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
    /// The password's age in days: since the last rotation, or else since the secret was created.
    pub(super) age: i64,
    last: Option<String>,
    next: Option<String>,
    function: Option<String>,
    /// ARN and version of the current value, if there is one.
    current: Option<(String, String)>,
    strategy: Option<String>,
}

impl Row {
    fn of(secret: SecretListEntry) -> Row {
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

    /// Reads the strategy from the value. If the value may not be read, the column stays empty.
    async fn read_strategy(&mut self, account: &Account) {
        let Some((arn, version)) = &self.current else { return };
        let value = account.value(arn, version).await.ok().flatten();
        self.strategy = value.and_then(|text| strategy(&text));
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "condition": self.condition.name(), "age_days": self.age, "last": self.last,
            "next": self.next, "function": self.function, "strategy": self.strategy,
        })
    }
}

impl Status {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let account = Account::open(&self.place).await?;
        let mut rows: Vec<Row> = self.list(&account).await?.into_iter().map(Row::of).collect();
        rows.retain(|row| self.all || row.condition != Condition::None);
        rows.sort_by(|one, other| {
            (one.condition, -one.age, &one.name).cmp(&(other.condition, -other.age, &other.name))
        });
        if self.strategy {
            for row in &mut rows {
                row.read_strategy(&account).await;
            }
        }
        if let Some(path) = &self.html {
            std::fs::write(path, page::html(&rows, account.region())).map_err(|error| {
                Failure::usage(
                    format!("{}: {error}", path.display()),
                    "name a file in an existing folder that you may write to",
                )
            })?;
            screen.say(format!("written: {}", path.display()));
        }
        if screen.json {
            screen.out_json(&json!({"secrets": rows.iter().map(Row::json).collect::<Vec<_>>()}));
        } else {
            print(screen, &rows, &self);
        }
        let bad = rows.iter().any(|row| matches!(row.condition, Condition::Stuck | Condition::Overdue));
        Ok(if bad { Exit::Finding } else { Exit::Fine })
    }

    async fn list(&self, account: &Account) -> Result<Vec<SecretListEntry>, Failure> {
        let mut found = account.list().await?;
        // The service's own filter matches prefixes, keys and values separately, and not every character that a tag may have.
        let has = |secret: &SecretListEntry, key: &str, value: &str| {
            let tags = secret.tags.iter().flatten();
            tags.into_iter().any(|tag| tag.key.as_deref() == Some(key) && tag.value.as_deref() == Some(value))
        };
        found.retain(|secret| self.tags.iter().all(|(key, value)| has(secret, key, value)));
        Ok(found)
    }
}

/// The strategy that a value asks for, by name or by its shape. Every function reads the shape in this way.
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

fn print(screen: &Screen, rows: &[Row], asked: &Status) {
    if rows.is_empty() {
        screen.say(if asked.all {
            "there are no secrets here"
        } else {
            "no secret rotates here; --all shows the others"
        });
        return;
    }
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max("SECRET".len());
    let text = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
    let strategy = |text: String| if asked.strategy { format!("{text:<19}  ") } else { String::new() };
    let head = format!(
        "{:<width$}  {:<9}  {:>8}  {:<20}  {:<20}  {}FUNCTION",
        "SECRET",
        "STATE",
        "AGE",
        "LAST",
        "NEXT",
        strategy("STRATEGY".to_owned())
    );
    screen.out(screen.paint(Paint::Strong, head));
    for row in rows {
        let state = screen.paint(row.condition.paint(), format!("{:<9}", row.condition.name()));
        let line = format!(
            "{:<width$}  {state}  {:>8}  {:<20}  {:<20}  {}{}",
            row.name,
            format!("{} days", row.age),
            text(&row.last),
            text(&row.next),
            strategy(text(&row.strategy)),
            text(&row.function)
        );
        screen.out(line.trim_end());
    }
}
