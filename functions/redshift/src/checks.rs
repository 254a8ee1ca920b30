//! testSecret: checks that the session belongs to the right user, and that the alternate may do all that the original may. `proof`
//! asks the server itself.

use rotation::database::account::Account;
use rotation::database::alternation::Equality;
use rotation::engine::job::Job;
use rotation::engine::parse;
use rotation::engine::target::Target;
use rotation::error::{Error, Kind, Result};
use rotation::value::version::{Parsed, Stage};
use wire_postgres::connect::Session;

use crate::connect::explain;
use crate::databases::Place;
use crate::dialect::Redshift;
use crate::proof::Proof;
use crate::{alternate, equalize, statement};

/// Checks the session's user, compares the alternate with the original, and runs the test statement.
pub(crate) async fn check(
    dialect: &Redshift,
    job: &Job<'_>,
    session: &Session,
    pending: &Parsed<Account>,
) -> Result<()> {
    let who = session.run(job, "say who is logged in", statement::WHO, &explain).await?;
    let who = who.into_iter().flatten().flatten().next().unwrap_or_default();
    if who != pending.account.username {
        let what = format!("the login as {:?} became a session of {who:?}", pending.account.username);
        return Err(Error::new(Kind::NotOurs, what)
            .remedy("a pooler or proxy maps users: point the secret at the cluster itself"));
    }
    let original = compare(dialect, job, pending).await?;
    let check = pending.account.statement.as_deref().unwrap_or(statement::CHECK);
    session.run(job, "run the test statement", check, &explain).await?;
    match original {
        Some((current, places)) => {
            let (original, alternate) = (&current.account, &pending.account);
            Proof { dialect, job, session, original, alternate }.of(&places).await
        }
        None => Ok(()),
    }
}

/// An alternate that follows the original must not be able to do less. Returns the original, and what both hold.
async fn compare(
    dialect: &Redshift,
    job: &Job<'_>,
    pending: &Parsed<Account>,
) -> Result<Option<(Parsed<Account>, Vec<Place>)>> {
    let Some(pair) = &pending.account.alternation else { return Ok(None) };
    if pending.account.username != pair.alternate || pair.sync == Equality::Untouched {
        return Ok(None);
    }
    let current = parse::current(dialect, job, job.store.labelled(Stage::Current).await)?;
    if current.account.username != pair.original {
        return Ok(None);
    }
    let Some(admin) = dialect.admin(job, &pending.account).await? else { return Ok(None) };
    let places = alternate::compared(dialect, job, &admin, pair).await?;
    let lacking: Vec<String> = places.iter().flat_map(|place| equalize::lacking(&place.seen, pair)).collect();
    if lacking.is_empty() {
        return Ok(Some((current, places)));
    }
    let what = format!("{:?} may do less than {:?}, which is in use", pair.alternate, pair.original);
    let first: String = lacking.join("; ").chars().take(1_000).collect();
    Err(Error::new(Kind::ServerRefused, what)
        .cause(format!("{} statements would make up for it: {first}", lacking.len()))
        .remedy("privileges were changed in the middle of the rotation, or something keeps taking them: rotate again"))
}
