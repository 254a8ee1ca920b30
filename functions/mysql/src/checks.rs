//! testSecret: checks that pending works, and that the alternate may do all that the original may.

use rotation::database::alternation::{Alternation, Equality};
use rotation::database::session::of_admin;
use rotation::engine::job::Job;
use rotation::engine::target::Target;
use rotation::error::{Error, Kind, Result};

use crate::account::{Account, Name};
use crate::connect::Session;
use crate::dialect::Mysql;
use crate::equalize::{self, Pair};
use crate::grants::{self, Difference, TOGETHER};
use crate::{presence, refusal, statement};

/// Runs the check statement, and compares the alternate with the original.
pub(crate) async fn check(
    dialect: &Mysql,
    job: &Job<'_>,
    session: &mut Session,
    pending: &Account,
) -> Result<()> {
    let check = pending.statement.as_deref().unwrap_or(statement::CHECK);
    session.run(job, "run the test statement", check, refusal::statement).await?;
    match &pending.alternation {
        Some(pair) if pair.alternate == pending.username => {
            compare(dialect, job, pair, pending, &session.login.name).await
        }
        _ => Ok(()),
    }
}

/// Checks that the alternate may do all that the original may.
async fn compare(
    dialect: &Mysql,
    job: &Job<'_>,
    pair: &Alternation,
    account: &Account,
    alternate: &Name,
) -> Result<()> {
    if pair.sync == Equality::Untouched {
        return Ok(());
    }
    let Some(admin) = dialect.admin(job, account).await? else { return Ok(()) };
    let mut session = of_admin(dialect, job, &admin, None).await?;
    let alternates = account.names(&pair.alternate, alternate);
    let originals = alternates.iter().map(|name| Name::new(&pair.original, &name.host));
    let originals: Vec<Name> = originals.collect();
    let sync = pair.sync;
    let pairs =
        originals.iter().zip(&alternates).map(|(original, alternate)| Pair { original, alternate, sync });
    for pairs in pairs.collect::<Vec<_>>().chunks(TOGETHER / 2) {
        for (pair, compared) in pairs.iter().zip(equalize::compare(job, &mut session, pairs).await?) {
            must_be_equal(job, &mut session, pair, &compared.left).await?;
        }
    }
    Ok(())
}

async fn must_be_equal(
    job: &Job<'_>,
    session: &mut Session,
    pair: &Pair<'_>,
    left: &Difference,
) -> Result<()> {
    let (mut added, taken) = (grants::added(left), grants::taken(left));
    let gone = presence::gone(job, session, added.keys()).await?;
    added.retain(|grant, _| !gone.contains(grant));
    if added.is_empty() && taken.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::ServerRefused, format!("{} is not equal to {}", pair.alternate, pair.original))
        .cause(format!("it lacks: {}", grants::words(&added)))
        .cause(format!("it has beyond: {}", grants::words(&taken)))
        .remedy("somebody changed one of the two during the rotation: run it again, which makes them equal"))
}
