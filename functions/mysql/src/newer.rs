//! With two passwords: a version newer than AWSCURRENT whose password a rotation that was given up has left in front.

use rotation::database::account::Server;
use rotation::engine::job::Job;
use rotation::engine::parse;
use rotation::engine::target::Login;
use rotation::error::{Error, Result};
use rotation::secret::Secret;
use rotation::value::version::{Parsed, Stage, VersionId};

use crate::account::{Account, Name};
use crate::connect::{self, Credentials, Session};
use crate::dialect::{Mysql, Writer};
use crate::profile::Profile;
use crate::refusal::NOT_PRIMARY;
use crate::statement;

/// A version that logs in, and its session.
pub(crate) struct Newer {
    /// The version.
    pub id: VersionId,
    session: Box<Session>,
}

/// The outcome of a search for a newer version that logs in.
pub(crate) enum Search {
    Found(Newer),
    Nothing,
    GivenUp,
}

/// Looks for a newer version that logs in, because only such a version can be primary. AWSPREVIOUS is older, even with the same
/// date.
pub(crate) async fn search(
    job: &Job<'_>,
    writer: &mut Writer,
    name: &Name,
    parsed: &Parsed<Account>,
) -> Result<Search> {
    // A user without an admin may be unable to read its own limit.
    let profile = Profile::read(job, writer, name).await.ok().flatten();
    let mut patience = profile.and_then(|profile| profile.bears).map(|limit| limit.saturating_sub(1));
    let previous = job.store.labelled(Stage::Previous).await?.map(|version| version.id);
    for id in job.store.versions_since(&parsed.id).await? {
        if Some(&id) == previous.as_ref() {
            continue;
        }
        let read = job.store.version(&id).await;
        let Some(newer) = parse::older(&Mysql, job, parsed, read)? else { continue };
        if newer.account.username != parsed.account.username {
            continue;
        }
        if patience == Some(0) {
            return Ok(Search::GivenUp);
        }
        match login(job, writer, &newer.account).await {
            Ok(Login::Accepted(session)) => {
                return Ok(Search::Found(Newer { id, session: Box::new(session) }));
            }
            Ok(Login::Rejected(_)) => patience = patience.map(|left| left - 1),
            // The version trusts less than AWSCURRENT does, so it is not sent.
            Err(error) if error.is_distrust() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Search::Nothing)
}

/// Logs in where the changes are made, with the trust that belongs to the version.
async fn login(job: &Job<'_>, writer: &Writer, account: &Account) -> Result<Login<Session>> {
    let at = Server { tls: account.server.tls.clone(), ..writer.at.clone() };
    let credentials = Credentials { user: &account.username, password: &account.password, dbname: None };
    connect::login(job, &at, credentials).await
}

impl Newer {
    /// Puts pending in this password's place, in a session of its own. The second slot, which holds AWSCURRENT's password, stays as it
    /// is. Returns whether this password was in front; `REPLACE` lets the server check it. `refusal` is why AWSCURRENT's password could
    /// not be put back in front.
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes the passwords to the statement that changes one into the other"
    )]
    pub(crate) async fn gives_way(
        mut self,
        job: &Job<'_>,
        name: &Name,
        pending: &Parsed<Account>,
        refusal: Error,
    ) -> Result<bool> {
        let session = &mut self.session;
        if session.login.name != *name {
            return Err(refusal);
        }
        let (password, old) = (&pending.account.password, session.login.password.share());
        let sql = statement::change_password("USER()", password.expose(), Some(old.expose()), false);
        let doing = "put the new password in the place of one that was given up";
        match session.attempt_secret(job, doing, &Secret::new(sql)).await? {
            Ok(()) => Ok(true),
            Err(answer) if answer.code == NOT_PRIMARY => Ok(false),
            Err(_) => Err(refusal),
        }
    }
}
