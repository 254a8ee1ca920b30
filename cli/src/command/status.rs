//! `turnlock status`: lists every secret that rotates, those that need attention first.

use std::path::PathBuf;

use aws_sdk_secretsmanager::types::SecretListEntry;
use clap::Args;
use serde_json::json;

use crate::account::{Account, Place};
use crate::failure::{Exit, Failure};
use crate::screen::{Paint, Screen};

mod page;
mod row;

use row::{Condition, Row};

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
