//! The secret's own host may be a replica, which gets a new password a moment after the writer.

use std::time::Duration;

use rotation::database::account::{Account, folded};
use rotation::database::rds::Rds;
use rotation::database::{proxy, session};
use rotation::engine::job::Job;
use rotation::engine::target::{Login, Target};
use rotation::error::Result;
use wire_postgres::connect::Session;

use crate::dialect::Postgres;
use crate::expiry;

/// The pause between two logins at a replica that is behind.
const LOOK: Duration = Duration::from_millis(100);

/// Called when the secret's own host refuses a login. If the host is a replica, it may only be behind. Then the login works on
/// the writer, and the function retries at the replica until that has caught up.
pub(crate) async fn refused(
    dialect: &Postgres,
    job: &Job<'_>,
    account: &Account,
    words: String,
) -> Result<Login<Session>> {
    let Some(admin) = dialect.admin(job, account).await? else { return Ok(Login::Rejected(words)) };
    let own = proxy::behind::<Rds>(job, &account.server).await?;
    if folded(&admin.server.host) == folded(&own.host) && admin.server.port == own.port {
        return expiry::look(dialect, job, account, &admin, words).await;
    }
    if let Login::Rejected(words) = session::log_in(dialect, job, account, Some(&admin)).await? {
        return expiry::look(dialect, job, account, &admin, words).await;
    }
    tracing::info!(
        "the writer accepts this login and the secret's host does not yet; waiting for it to catch up"
    );
    let catches_up = async {
        loop {
            if let Login::Accepted(session) = session::log_in(dialect, job, account, None).await? {
                return Ok(Login::Accepted(session));
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let what = format!("{} to accept a login that the writer accepts", own.host);
    let waited = job.deadline.within(job.deadline.left(), what, catches_up).await;
    waited.map_err(|error| {
        error.remedy("the replica is behind, or a pooler knows other passwords: look at its lag")
    })?
}
