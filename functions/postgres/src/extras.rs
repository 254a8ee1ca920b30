//! What the second user has of its own, beyond the original. Its sessions act as the original, so they cannot use any of it.

use rotation::database::account::Account;
use rotation::database::alternation::Equality;
use rotation::engine::finding::Finding;
use rotation::engine::job::Job;
use rotation::error::Result;
use wire_postgres::connect::Session;

use crate::statement::{self, Limits, catalog};
use crate::turn::Turn;
use crate::writer::explain;

/// The name in the report.
const CHECK: &str = "second user";

/// Logs what the second user keeps and cannot use, where the secret says that nothing is taken away from it.
pub(crate) async fn warn(turn: &Turn<'_>) -> Result<()> {
    let extras = list(turn.job, turn.writer, &catalog::extras(turn.pair)).await?;
    if !extras.is_empty() {
        let extras = extras.join("; ");
        tracing::warn!(
            user = turn.pair.alternate,
            extras,
            "sessions of the second user act as the original and cannot use what it has of its own; grant it to the original"
        );
    }
    Ok(())
}

/// For the diagnose event: what the second user will lose at its next turn, or keep without being able to use it.
pub(crate) async fn examine(job: &Job<'_>, session: &Session, account: &Account) -> Option<Finding> {
    let pair = account.alternation.as_ref().filter(|pair| pair.sync != Equality::Untouched)?;
    let sql = statement::reading(&catalog::extras(pair), Limits::of(session, job));
    let (alternate, original) = (&pair.alternate, &pair.original);
    match list(job, session, &sql).await {
        Err(error) => Some(Finding::fail(CHECK, &error)),
        Ok(extras) if extras.is_empty() => {
            Some(Finding::pass(CHECK, format!("{alternate:?} has nothing beyond {original:?}")))
        }
        Ok(extras) => {
            let becomes = match pair.sync {
                Equality::Exact => "a rotation takes from it or hands to the original",
                _ => "its sessions cannot use, because they act as the original",
            };
            let detail = format!("{alternate:?} has something that {becomes}: {}", extras.join("; "));
            let hint = format!("if clients need it, grant it to {original:?} before the next rotation");
            Some(Finding { hint: Some(hint), ..Finding::pass(CHECK, detail) })
        }
    }
}

async fn list(job: &Job<'_>, session: &Session, sql: &str) -> Result<Vec<String>> {
    let rows = session.run(job, "list what the second user has of its own", sql, &explain).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}
