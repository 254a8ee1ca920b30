//! testSecret: checks that the session belongs to the right user, acts as the right role, and may do what clients may do today.

use rotation::database::account::Account;
use rotation::database::alternation::{Alternation, Equality};
use rotation::engine::job::Job;
use rotation::engine::parse;
use rotation::error::{Error, Kind, Result};
use rotation::value::version::{Parsed, Stage};
use wire_postgres::connect::Session;

use crate::dialect::Postgres;
use crate::reset;
use crate::role::not_understood;
use crate::statement::{self, Limits, catalog};
use crate::writer::explain;

/// Checks the session's user and role, and runs the test statement.
pub(crate) async fn check(
    dialect: &Postgres,
    job: &Job<'_>,
    session: &Session,
    pending: &Parsed<Account>,
) -> Result<()> {
    let account = &pending.account;
    let other = account.alternation.as_ref().map_or("", |pair| pair.after(&account.username));
    let limits = Limits::of(session, job);
    let rows = session
        .run(job, "say who is logged in", &statement::reading(&catalog::who(other), limits), &explain)
        .await?;
    let [user, acts_as, should_act_as, other_acts_as, replicates] = rows
        .into_iter()
        .next()
        .and_then(|row| row.try_into().ok())
        .ok_or_else(|| other_user(account, "nobody"))?;
    let (user, acts_as) = (user.unwrap_or_default(), acts_as.unwrap_or_default());
    if user != account.username {
        return Err(other_user(account, &user));
    }
    if let Some(pair) = &account.alternation {
        let should_act_as = should_act_as.ok_or_else(not_understood)?;
        if acts_as != should_act_as {
            return Err(reset::acts_otherwise(job, session, [&user, &should_act_as, &acts_as]).await);
        }
        if let Some(theirs) = other_acts_as.filter(|theirs| *theirs != acts_as) {
            let replicates = replicates.as_deref() == Some("t");
            compare(dialect, job, session, pending, pair, [other, &theirs, &acts_as], replicates).await?;
        }
    }
    let own = statement::reading(statement::CHECK, limits);
    let check = account.statement.as_deref().unwrap_or(&own);
    session.run(job, "run the test statement", check, &explain_test).await?;
    match &account.alternation {
        Some(pair) if acts_as != user => reset::must_keep_the_role(job, session, pair, &acts_as).await,
        _ => Ok(()),
    }
}

/// The secret names the test statement, so only its author knows what a refusal means.
fn explain_test(code: &str) -> Option<(Kind, String)> {
    let kind = if ["55P03", "57014"].contains(&code) { Kind::Conflict } else { Kind::ServerRefused };
    Some((kind, "see the server's words, and the secret's \"test_statement\" if it has one".to_owned()))
}

/// For two users that act as different roles. If clients use the other user now, the pending user must not be able to do less.
async fn compare(
    dialect: &Postgres,
    job: &Job<'_>,
    session: &Session,
    pending: &Parsed<Account>,
    pair: &Alternation,
    [other, other_acts_as, acts_as]: [&str; 3],
    replicates: bool,
) -> Result<()> {
    let current = parse::current(dialect, job, job.store.labelled(Stage::Current).await)?;
    if current.account.username != other {
        return Ok(());
    }
    let sql = statement::reading(&catalog::lacking(other_acts_as, acts_as), Limits::of(session, job));
    let rows = session.run(job, "compare privileges", &sql, &explain).await?;
    let mut lacking: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if replicates {
        lacking.push(statement::alter_role(&pending.account.username, "REPLICATION"));
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let lacking = lacking.join("; ");
    if pair.sync == Equality::Untouched {
        tracing::warn!(
            lacking,
            "pending has fewer privileges than current; nothing is copied because \"sync\" is \"none\""
        );
        return Ok(());
    }
    let what = format!("{:?} may do less than {other:?}, which is in use", pending.account.username);
    Err(Error::new(Kind::ServerRefused, what).remedy(format!(
        "give it what clients need and take the rest from {other:?}, then rotate again: {lacking}"
    )))
}

fn other_user(account: &Account, user: &str) -> Error {
    let what = format!("the login as {:?} became a session of {user:?}", account.username);
    Error::new(Kind::NotOurs, what)
        .remedy("a pooler or proxy maps users: point the secret at the server itself")
}
