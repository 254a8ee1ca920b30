//! The lock of a secret: the server's own named locks.

use std::time::Duration;

use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};

use crate::connect::Session;
use crate::{refusal, statement};

/// How long a rotation waits for another rotation of the same secret.
const WAIT: Duration = Duration::from_secs(5);

/// After this long the server ends the session of a process that has disappeared.
const IDLE: Duration = Duration::from_secs(20);

pub(crate) async fn take(job: &Job<'_>, session: &mut Session, secret_arn: &str) -> Result<()> {
    session.locked = Some(secret_arn.to_owned());
    let sql = statement::lock(secret_arn, WAIT, IDLE);
    let rows = session.run(job, "take this secret's lock", &sql, refusal::statement).await?;
    match rows.first().and_then(|row| row.first()?.as_deref()) {
        Some("1") => Ok(()),
        _ => Err(Error::new(Kind::Conflict, "another rotation of this secret is at work")
            .remedy("nothing to do: Secrets Manager tries again by itself")),
    }
}
