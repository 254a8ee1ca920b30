//! What a pool does to a session between two clients, and whether the session still acts as the right role afterwards. Two users are
//! one only as long as what either makes belongs to the same role.

use rotation::database::alternation::{Alternation, Equality};
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::statement::{self, Limits, catalog};
use crate::writer::explain;

/// Resets the session as pools do, and looks at its role again. Where the server forgets the role and nothing hands over what clients
/// then make, the pair cannot be one.
pub(crate) async fn must_keep_the_role(
    job: &Job<'_>,
    session: &Session,
    pair: &Alternation,
    role: &str,
) -> Result<()> {
    session.run(job, "reset the session as a pool does", statement::DISCARD, &explain).await?;
    let rows = session.run(job, "say whom the session acts as", statement::ACTING, &explain).await?;
    let acting = rows.into_iter().flatten().flatten().next().unwrap_or_default();
    if acting == role {
        return Ok(());
    }
    let what =
        format!("after DISCARD ALL, which pools run, sessions act as {acting:?} and no longer as {role:?}");
    if pair.sync == Equality::Exact {
        tracing::warn!(
            what,
            "tables that such a session makes change hands only when the original has its turn; {MEND}"
        );
        return Ok(());
    }
    Err(Error::new(Kind::ServerRefused, what)
        .cause(format!("tables that they make would belong to {acting:?}"))
        .remedy(format!(
            "{MEND}, or let the rotation hand objects over: put \"sync\": \"exact\" into the secret"
        )))
}

/// PostgreSQL's release notes of November 2024, CVE-2024-10978: before these minors a reset forgets the role, and the minors right
/// before them ignore the setting at login.
const MEND: &str = "update the server to PostgreSQL 17.2, 16.6, 15.10, 14.15 or a newer minor";

/// The error of a session that acts as another role than its settings say: user, wanted role, actual role.
pub(crate) async fn acts_otherwise(
    job: &Job<'_>,
    session: &Session,
    [user, wanted, actual]: [&str; 3],
) -> Error {
    let what = format!("sessions of {user:?} should act as {wanted:?}, and act as {actual:?}");
    let error = Error::new(Kind::ServerRefused, what);
    let sql = statement::reading(&catalog::may_act(user, wanted), Limits::of(session, job));
    let rows = session.run(job, "compare two roles", &sql, &explain).await.unwrap_or_default();
    if rows.first().and_then(|row| row.first()?.as_deref()) == Some("t") {
        return error.remedy(format!(
            "a pooler in between sets another role, or the server ignores the setting: {MEND}"
        ));
    }
    error.remedy(format!(
        "{user:?} has to be a member of {wanted:?} that may act as it: {}",
        statement::grant_membership(wanted, user, 0)
    ))
}
