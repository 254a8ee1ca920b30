//! Which version of the secret logs in: the one place where the steps try passwords.

use crate::engine::job::Job;
use crate::engine::login::Proof;
use crate::engine::parse;
use crate::engine::spent;
use crate::engine::target::{Login, Target};
use crate::error::{Error, Kind, Result};
use crate::value::version::{Labels, Parsed, Stage, VersionId};

/// A login that has to succeed, such as pending's before its promotion.
pub async fn prove<T: Target>(
    target: &T,
    job: &Job<'_>,
    parsed: &Parsed<T::Account>,
) -> Result<(T::Session, Proof)> {
    target.login(job, &parsed.account, None).await?.proven(&parsed.id)
}

/// The same on the server that an admin would change.
pub async fn prove_on<T: Target>(
    target: &T,
    job: &Job<'_>,
    parsed: &Parsed<T::Account>,
    admin: Option<&T::Admin>,
) -> Result<(T::Session, Proof)> {
    target.login(job, &parsed.account, admin).await?.proven(&parsed.id)
}

/// Where the ladder ended.
pub enum Rung<T: Target> {
    /// A version that is not pending logs in: pending can be applied. The version comes along, unless it is AWSCURRENT.
    Proven(T::Session, Option<Parsed<T::Account>>),
    /// Pending itself logs in, and current does not: it has been applied.
    Applied,
    /// Nothing logs in, and the deployment allows the admin to reset the account.
    Reset,
}

/// Climbs the ladder: current, pending, AWSPREVIOUS, then versions that have lost their labels, newest first. Nothing below
/// current is even read unless the rungs above were refused, so a normal rotation sees no refused login; and each is checked
/// against current before it is sent anywhere.
///
/// An account without an admin may lock itself after a number of refusals that nobody here can read. Two refusals are risked for one
/// token. More are risked only if a rotation was given up since AWSCURRENT was made, because its version may be the one that logs in.
pub async fn climb<T: Target>(
    target: &T,
    job: &Job<'_>,
    labels: &Labels,
    current: &Parsed<T::Account>,
    pending: &Parsed<T::Account>,
    admin: Option<&T::Admin>,
) -> Result<Rung<T>> {
    let mut ladder =
        Ladder { target, job, admin, current, refused: Vec::new(), patience: None, left_untried: false };
    let unseen = admin.is_none() && target.locks_unseen();
    if unseen && spent::is_noted(&job.token) {
        return Err(ladder.too_risky());
    }
    if let Some(session) = ladder.attempt(&current.account, current.id.clone(), "AWSCURRENT").await? {
        return Ok(Rung::Proven(session, None));
    }
    tracing::warn!(version = current.id.as_str(), "AWSCURRENT does not log in; trying the other versions");
    if ladder.attempt(&pending.account, pending.id.clone(), "AWSPENDING").await?.is_some() {
        return Ok(Rung::Applied);
    }
    if unseen && !ladder.was_one_given_up(labels, &pending.id).await? {
        spent::note(&job.token);
        return Err(ladder.stopped(labels, &pending.id).await?);
    }
    let mut tried = vec![current.id.clone(), pending.id.clone()];
    if let Some(previous) = labels.holder(Stage::Previous).filter(|id| !tried.contains(id)) {
        tried.push(previous.clone());
        if let Some((session, opened)) = ladder.attempt_version(previous, "AWSPREVIOUS").await? {
            return Ok(Rung::Proven(session, Some(opened)));
        }
    }
    for version in ladder.unlabelled().await? {
        if !tried.contains(&version)
            && let Some((session, opened)) =
                ladder.attempt_version(&version, "a version without a label").await?
        {
            return Ok(Rung::Proven(session, Some(opened)));
        }
    }
    if job.settings.admin_reset && admin.is_some() {
        tracing::warn!("no version of the secret logs in; ADMIN_RESET lets the admin set a new password");
        return Ok(Rung::Reset);
    }
    Err(ladder.locked_out())
}

struct Ladder<'a, T: Target> {
    target: &'a T,
    job: &'a Job<'a>,
    admin: Option<&'a T::Admin>,
    current: &'a Parsed<T::Account>,
    refused: Vec<(VersionId, &'static str, String)>,
    patience: Option<u32>,
    /// Whether versions were left out because of a limit that could not be read.
    left_untried: bool,
}

impl<T: Target> Ladder<'_, T> {
    /// Tries a version that has to be read first.
    async fn attempt_version(
        &mut self,
        id: &VersionId,
        label: &'static str,
    ) -> Result<Option<(T::Session, Parsed<T::Account>)>> {
        let read = self.job.store.version(id).await;
        let Some(parsed) = parse::older(self.target, self.job, self.current, read)? else { return Ok(None) };
        let session = match self.attempt(&parsed.account, parsed.id.clone(), label).await {
            // AWSCURRENT trusts this server, and the older version does not. It is not tried with less trust than its own.
            Err(error) if error.is_distrust() => {
                self.refused.push((parsed.id, label, error.story()));
                return Ok(None);
            }
            outcome => outcome?,
        };
        let Some(session) = session else { return Ok(None) };
        tracing::warn!(version = id.as_str(), label, "this version logs in; the rotation goes on from it");
        Ok(Some((session, parsed)))
    }

    /// Tries one login. Once the account may not bear another refusal, nothing more is tried.
    async fn attempt(
        &mut self,
        account: &T::Account,
        id: VersionId,
        label: &'static str,
    ) -> Result<Option<T::Session>> {
        if self.patience == Some(0) {
            return Ok(None);
        }
        match self.target.login(self.job, account, self.admin).await? {
            Login::Accepted(session) => Ok(Some(session)),
            Login::Rejected(words) => {
                self.patience = match self.patience {
                    None if self.refused.is_empty() => {
                        self.target.patience(self.job, account, self.admin).await
                    }
                    None => None,
                    Some(left) => Some(left.saturating_sub(1)),
                };
                self.refused.push((id, label, words));
                Ok(None)
            }
        }
    }

    /// Whether a version without a label is newer than AWSCURRENT: an earlier rotation may have set its password. A role that may not list
    /// the versions does not know of any.
    async fn was_one_given_up(&self, labels: &Labels, pending: &VersionId) -> Result<bool> {
        match self.job.store.versions_since(&self.current.id).await {
            Ok(since) => Ok(since.iter().any(|id| id != pending && !labels.has(id, Stage::Previous))),
            Err(error) if error.kind() == Kind::AccessDenied => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The versions that only their ids still name. A role that may not list them loses this rung, not the rotation's error.
    async fn unlabelled(&mut self) -> Result<Vec<VersionId>> {
        match self.job.store.all_versions().await {
            Ok(versions) => Ok(versions),
            Err(error) if error.kind() == Kind::AccessDenied => Err(self.locked_out().cause(error.report())),
            Err(error) => Err(error),
        }
    }

    /// Current and pending were refused, and the older versions, if there are any, are left out.
    async fn stopped(&mut self, labels: &Labels, pending: &VersionId) -> Result<Error> {
        let all = self.unlabelled().await?;
        let mut left = all.iter().chain(labels.holder(Stage::Previous));
        let is_tried = |id: &VersionId| *id == self.current.id || id == pending;
        Ok(if left.all(is_tried) { self.locked_out() } else { self.too_risky() })
    }

    /// No login is known to work, and older versions were left out.
    fn too_risky(&mut self) -> Error {
        self.left_untried = true;
        self.locked_out().remedy(
            "if an older version may be the one that logs in, as after a restored backup, remove the label AWSPENDING and rotate again: the \
             next rotation tries all versions; otherwise set the user's password on the server to the one in AWSCURRENT, remove \
             AWSPENDING and rotate",
        )
    }

    fn locked_out(&self) -> Error {
        let mut error = Error::new(Kind::LockedOut, "no version of the secret logs in");
        for (version, label, words) in &self.refused {
            error = error.cause(format!("{label} ({version}) was refused with {words}"));
        }
        if self.left_untried {
            error = error.cause(
                "no more was tried for this token, and nothing will be for five minutes: the account may lock itself after a number of \
                 refusals (FAILED_LOGIN_ATTEMPTS), and without an admin nobody can read that number",
            );
        }
        if self.patience == Some(0) {
            error = error.cause("no more was tried, because one more refusal may lock the account");
        }
        error
    }
}
