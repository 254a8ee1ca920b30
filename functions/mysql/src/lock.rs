//! The lock of a secret: the server's own named locks, where they keep others out.

use std::time::Duration;

use mysql_async::ServerError;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};

use crate::connect::Session;
use crate::preflight::{LOCAL, Standing};
use crate::{refusal, statement};

/// How long a rotation waits for another rotation of the same secret.
const WAIT: Duration = Duration::from_secs(5);

/// After this long the server ends the session of a process that has disappeared.
const IDLE: Duration = Duration::from_secs(20);

/// Takes the lock, and returns what the server says about itself.
pub(crate) async fn take(job: &Job<'_>, session: &mut Session, secret_arn: &str) -> Result<Standing> {
    let doing = "take this secret's lock";
    session.locked = Some(secret_arn.to_owned());
    let begin = statement::begin(WAIT, IDLE);
    let sql = format!("{begin}; {}", statement::lock(secret_arn, WAIT));
    let rows = match session.attempt(job, doing, &sql).await? {
        Ok(rows) => rows,
        Err(answer) if forbids_locks(&answer) => return without_lock(job, session, &begin).await,
        Err(answer) => return Err(refusal::of(&session.place, doing, &answer, refusal::statement)),
    };
    let (lock, variables) =
        rows.split_last().ok_or_else(|| Error::new(Kind::Bug, "no answer to GET_LOCK"))?;
    if lock.first().and_then(Option::as_deref) != Some("1") {
        return Err(Error::new(Kind::Conflict, "another rotation of this secret is at work")
            .remedy("nothing to do: Secrets Manager tries again by itself"));
    }
    let standing = Standing::read(variables);
    if let Some(why) = standing.local_locks {
        warn(session, why);
    }
    Ok(standing)
}

/// Percona XtraDB Cluster refuses named locks, because they are local to one node (its manual, "PXC strict mode", "Explicit table
/// locking").
fn forbids_locks(answer: &ServerError) -> bool {
    answer.message.contains("pxc_strict_mode")
}

/// The second look at the labels alone keeps two rotations apart, as on every server without locks.
async fn without_lock(job: &Job<'_>, session: &mut Session, begin: &str) -> Result<Standing> {
    session.locked = None;
    warn(session, "it refuses named locks (pxc_strict_mode)");
    let rows = session.run(job, "say what it is", begin, refusal::statement).await?;
    Ok(Standing::read(&rows))
}

fn warn(session: &Session, why: &str) {
    let place = session.place.as_str();
    tracing::warn!(place, why, "{LOCAL}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_refuses_named_locks_is_known_by_its_words() {
        let answer =
            |message: &str| ServerError { code: 1105, message: message.into(), state: "HY000".into() };
        let refused = "Percona-XtraDB-Cluster prohibits use of GET_LOCK with pxc_strict_mode = ENFORCING";
        assert!(forbids_locks(&answer(refused)));
        assert!(!forbids_locks(&answer("Unknown error")));
    }
}
