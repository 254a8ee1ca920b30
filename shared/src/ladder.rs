//! Which version of the secret logs in: the one place where passwords are tried, and the one place where proofs are made.

use crate::error::{Error, Kind, Result};
use crate::job::Job;
use crate::target::{Held, Login, Target};
use crate::version::{Labels, Stage, Version, VersionId};

/// Says that a version of the secret logged in during this invocation. Made here only, and demanded by every promotion.
pub struct Proof(VersionId);

impl Proof {
    /// Which version logged in.
    pub fn version(&self) -> &VersionId {
        &self.0
    }
}

/// A login that has to succeed, such as pending's before its promotion.
pub async fn prove<T: Target>(
    target: &T,
    job: &Job<'_>,
    held: &Held<T::Account>,
) -> Result<(T::Session, Proof)> {
    match target.login(job, &held.account, None).await? {
        Login::Accepted(session) => Ok((session, Proof(held.id.clone()))),
        Login::Rejected(words) => {
            let what = format!("the server refused the login with version {}", held.id);
            Err(Error::new(Kind::CredentialRejected, what).cause(words))
        }
    }
}

/// Where the ladder ended.
pub enum Rung<S> {
    /// A version that is not pending logs in: pending can be applied.
    Proven(S),
    /// Pending itself logs in, and current does not: it has been applied.
    Applied,
    /// Nothing logs in, and the deployment allows the admin to reset the account.
    Reset,
}

/// Climbs the ladder: current, pending, AWSPREVIOUS, then versions that have lost their labels, newest first. Nothing below
/// current is even read unless the rungs above were refused, so a normal rotation sees no refused login; and each is checked
/// against current before it is sent anywhere.
pub async fn climb<T: Target>(
    target: &T,
    job: &Job<'_>,
    labels: &Labels,
    current: &Held<T::Account>,
    pending: &Held<T::Account>,
    admin: Option<&T::Admin>,
) -> Result<Rung<T::Session>> {
    let mut ladder = Ladder { target, job, admin, current, refused: Vec::new(), patience: None };
    if let Some(session) = ladder.attempt(&current.account, current.id.clone(), "AWSCURRENT").await? {
        return Ok(Rung::Proven(session));
    }
    tracing::warn!(version = current.id.as_str(), "AWSCURRENT does not log in; trying the other versions");
    if ladder.attempt(&pending.account, pending.id.clone(), "AWSPENDING").await?.is_some() {
        return Ok(Rung::Applied);
    }
    let mut tried = vec![current.id.clone(), pending.id.clone()];
    if let Some(previous) = labels.holder(Stage::Previous).filter(|id| !tried.contains(id)) {
        tried.push(previous.clone());
        if let Some(session) = ladder.step(previous, "AWSPREVIOUS").await? {
            return Ok(Rung::Proven(session));
        }
    }
    for version in ladder.unlabelled().await? {
        if !tried.contains(&version)
            && let Some(session) = ladder.step(&version, "a version without a label").await?
        {
            return Ok(Rung::Proven(session));
        }
    }
    if job.settings.admin_reset && admin.is_some() {
        tracing::warn!("no version of the secret logs in; ADMIN_RESET lets the admin set a new password");
        return Ok(Rung::Reset);
    }
    Err(ladder.locked_out())
}

/// Understands another version than those that the step is about, as far as it can be read. One that is gone, empty, unreadable,
/// or for another account or server is passed over: what is wrong with it must not stop the rotation.
pub fn older<T: Target>(
    target: &T,
    job: &Job<'_>,
    current: &Held<T::Account>,
    read: Result<Option<Version>>,
) -> Result<Option<Held<T::Account>>> {
    let understood = match read {
        Ok(None) => return Ok(None),
        Ok(Some(version)) => understand(target, job, current, version),
        // Binary, or encrypted with a key that is out of reach by now.
        Err(error) if matches!(error.kind(), Kind::BadSecret | Kind::AccessDenied) => Err(error),
        Err(error) => return Err(error),
    };
    Ok(understood
        .inspect_err(|error| tracing::info!(reason = error.report(), "an older version was passed over"))
        .ok())
}

fn understand<T: Target>(
    target: &T,
    job: &Job<'_>,
    current: &Held<T::Account>,
    version: Version,
) -> Result<Held<T::Account>> {
    let id = version.id.clone();
    let agreed = job.hold(target, version).and_then(|mut held| {
        target.agree(&current.account, &held.account)?;
        target.align(&current.account, &mut held.account);
        Ok(held)
    });
    agreed.map_err(|error| error.cause(format!("in version {id}")))
}

struct Ladder<'a, T: Target> {
    target: &'a T,
    job: &'a Job<'a>,
    admin: Option<&'a T::Admin>,
    current: &'a Held<T::Account>,
    refused: Vec<(VersionId, &'static str, String)>,
    patience: Option<u32>,
}

impl<T: Target> Ladder<'_, T> {
    /// Tries a version that has to be read first.
    async fn step(&mut self, id: &VersionId, label: &'static str) -> Result<Option<T::Session>> {
        let read = self.job.store.version(id).await;
        let Some(held) = older(self.target, self.job, self.current, read)? else { return Ok(None) };
        let session = self.attempt(&held.account, held.id, label).await?;
        if session.is_some() {
            tracing::warn!(
                version = id.as_str(),
                label,
                "this version logs in; the rotation goes on from it"
            );
        }
        Ok(session)
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

    /// The versions that only their ids still name. A role that may not list them loses this rung, not the rotation's error.
    async fn unlabelled(&mut self) -> Result<Vec<VersionId>> {
        match self.job.store.all_versions().await {
            Ok(versions) => Ok(versions),
            Err(error) if error.kind() == Kind::AccessDenied => Err(self.locked_out().cause(error.report())),
            Err(error) => Err(error),
        }
    }

    fn locked_out(&self) -> Error {
        let mut error = Error::new(Kind::LockedOut, "no version of the secret logs in");
        for (version, label, words) in &self.refused {
            error = error.cause(format!("{label} ({version}) was refused with {words}"));
        }
        if self.patience == Some(0) {
            error = error.cause("no more was tried, because one more refusal may lock the account");
        }
        error
    }
}
