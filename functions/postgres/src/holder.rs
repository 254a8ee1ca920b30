//! Who holds the lock of a secret that a rotation waited for in vain. The lock is an advisory one, and any user of the server may take
//! any advisory lock; so the error says whether a rotation holds it.

use std::time::Duration;

use rotation::engine::job::Job;
use rotation::error::{Error, Kind};
use wire_postgres::connect::Session;

use crate::statement::{self, Limits, catalog};

/// How long the question may take: the step has failed already.
const QUESTION: Duration = Duration::from_secs(2);

/// The name of our sessions. Others can take it, too.
const OURS: &str = "turnlock";

/// The error of a session that did not get the lock, with the lock's holder.
pub(crate) async fn name(job: &Job<'_>, session: &Session, key: i64, error: Error) -> Error {
    let sql = format!(
        "{}; {}; {}; {}",
        statement::ROLLBACK,
        statement::begin_beside(QUESTION, Limits::of(session, job).at_most(QUESTION)),
        catalog::holder(key),
        statement::COMMIT
    );
    let rows = session.run(job, "say who holds the lock", &sql, &|_| None).await;
    let holder = rows.ok().and_then(|rows| <[_; 4]>::try_from(rows.into_iter().next()?).ok());
    let Some([Some(pid), Some(user), application, since]) = holder else {
        return error;
    };
    let (application, since) = (application.unwrap_or_default(), since.unwrap_or_default());
    let what = format!("process {pid} of user {user:?}, application {application:?}{since}");
    if user == session.user {
        return error.cause(format!("the lock is held by {what}"));
    }
    // A rotation of this secret logs in as this same user, unless the secret has got another strategy or admin meanwhile.
    let who = match application.as_str() {
        OURS => "which calls itself a rotation, under another strategy or admin",
        _ => "which is no rotation of this secret",
    };
    let other = format!("the lock of this secret is held by {what}, {who}");
    Error::new(Kind::Conflict, other).cause(error.story()).remedy(format!(
        "ask the owner of {user:?} why it takes advisory lock {key}; to end the session: SELECT pg_terminate_backend({pid})"
    ))
}
