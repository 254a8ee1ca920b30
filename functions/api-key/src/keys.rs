//! Which keys belong to this secret, and which of them may be revoked. docs/decisions/0005-api-keys.md gives the reasons.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rotation::engine::credential::Credential;
use rotation::engine::gate;
use rotation::engine::job::Job;
use rotation::engine::parse;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::value::document::Fields;
use rotation::value::version::{Labels, Stage, VersionId};

use crate::account::Account;
use crate::listing::{Entry, Listing};
use crate::names::Names;
use crate::provider::schema::{Call, Revoke};
use crate::service::{Access, Service};
use crate::target::ApiKey;

/// No invocation lives longer than 15 minutes (Lambda quotas, "Function timeout"). The rest allows for clocks that differ.
const LONGEST_TRY: Duration = Duration::from_secs(20 * 60);

/// The keys as listed before the labels were read again, and what this step has read and revoked since.
pub(crate) struct Survey {
    listing: Listing,
    read: RefCell<BTreeMap<VersionId, Rc<Account>>>,
    revoked: RefCell<Vec<String>>,
}

impl Survey {
    fn new(listing: Listing) -> Survey {
        Survey { listing, read: RefCell::default(), revoked: RefCell::default() }
    }

    /// The keys that this step has not revoked since.
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.listing.entries.iter().filter(|entry| !self.revoked.borrow().contains(&entry.id))
    }
}

/// The keys of a secret, and the version on whose behalf they are changed.
pub(crate) struct Keys<'a> {
    /// This target, which reads the values of other versions.
    pub target: &'a ApiKey,
    /// The invocation.
    pub job: &'a Job<'a>,
    /// The names of the keys.
    pub names: &'a Names,
    /// The version that acts.
    pub account: &'a Account,
    /// The fields that authorise its calls.
    pub admin: &'a Fields,
    /// The access token that its calls share.
    pub access: Access,
}

impl<'a> Keys<'a> {
    /// The service, called with the key of the acting version.
    pub(crate) fn service(&self) -> Service<'a> {
        Service::new(self.job, self.names, self.account, self.admin).sharing(&self.access)
    }

    async fn listing(&self, service: &Service<'a>) -> Result<Listing> {
        match &self.account.provider.calls.list {
            Some(list) => service.list(list).await,
            None => Ok(Listing::default()),
        }
    }

    /// Rule 4, before a key is issued: revokes the keys that earlier tries for this token issued, once these tries are too old to
    /// still store one.
    pub(crate) async fn sweep_old(&self) -> Result<()> {
        let provider = &self.account.provider;
        let (Some(list), Some(revoke)) = (&provider.calls.list, &provider.calls.revoke) else {
            return Ok(());
        };
        // An idempotent service now issues the same key again, so its key is no leftover.
        let same_again = provider.calls.issue.as_ref().is_some_and(Call::is_idempotent);
        if list.created.is_none() || !provider.sweeps() || same_again {
            return Ok(());
        }
        let (service, label) = (self.service(), self.names.label(&self.job.token));
        let listing = service.list(list).await?;
        for entry in listing.entries.iter().filter(|entry| entry.label.as_ref() == Some(&label)) {
            let age = listing.date.zip(entry.created).and_then(|(now, made)| now.duration_since(made).ok());
            if age.is_some_and(|age| age > LONGEST_TRY) {
                tracing::warn!(key = %entry.said_id(), "revoking a key that an earlier try issued and did not store");
                service.revoke(revoke, &label, Some(&entry.id)).await?;
            }
        }
        Ok(())
    }

    /// For services that allow one key: revokes the current key and all other keys of this secret, so that a new one can be made.
    pub(crate) async fn make_room(&self, current: &VersionId) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let revoker = Revoker { service: self.service(), revoke, survey: &self.survey().await? };
        for entry in revoker.survey.entries().filter(|entry| self.is_ours(entry)) {
            revoker.end(entry).await?;
        }
        self.end_version(&revoker, current, Some(self.account), &[]).await
    }

    /// Lists the keys, before the labels are read again. A version gets its label before its key. So a listed key whose version
    /// has no label afterwards belongs to a rotation that was given up.
    pub(crate) async fn survey(&self) -> Result<Survey> {
        self.listing(&self.service()).await.map(Survey::new)
    }

    /// Rules 1 and 3, before the labels move: revokes leftovers of this token and the key of AWSPREVIOUS. The value of
    /// AWSPREVIOUS is read only if no listed key carries its label, or if the listing shows the keys themselves.
    pub(crate) async fn retire(&self, survey: &Survey, labels: &Labels) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let previous = previous_to_revoke(labels);
        let leftovers: Vec<&Entry> = survey.entries().filter(|entry| self.is_leftover(entry)).collect();
        if previous.is_none() && leftovers.is_empty() {
            return Ok(());
        }
        let shows_keys = self.account.provider.calls.list.as_ref().is_some_and(|list| list.key.is_some());
        let unproven = previous.filter(|previous| {
            let label = self.names.label(previous);
            shows_keys || !survey.entries().any(|entry| entry.label.as_ref() == Some(&label))
        });
        let held = async {
            match unproven {
                Some(previous) => self.understood(survey, previous).await,
                None => Ok(None),
            }
        };
        let (others, held) = tokio::join!(self.labelled(survey, labels, previous), held);
        let (others, held) = (others?, held?);
        let kept = self.kept(&others);
        let revoker = Revoker { service: self.service(), revoke, survey };
        revoker.end_all(&leftovers, &kept).await?;
        let Some(previous) = previous else { return Ok(()) };
        self.end_version(&revoker, previous, held.as_deref(), &kept).await
    }

    /// Rules 1 and 2, after the labels have moved: revokes the keys of versions that had no label at the second look. The keys
    /// were listed before that look.
    pub(crate) async fn settle(&self, survey: &Survey, labels: &Labels) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let alive: Vec<String> = labels.labelled().map(|id| self.names.label(id)).collect();
        let given_up = |entry: &&Entry| {
            self.is_ours(entry) && !entry.label.as_ref().is_some_and(|label| alive.contains(label))
                || self.is_leftover(entry)
        };
        let victims: Vec<&Entry> = survey.entries().filter(given_up).collect();
        if victims.is_empty() {
            return Ok(());
        }
        let others = self.labelled(survey, labels, None).await?;
        Revoker { service: self.service(), revoke, survey }.end_all(&victims, &self.kept(&others)).await
    }

    /// Revokes the key that this very invocation issued and could not store.
    pub(crate) async fn withdraw(&self, proposed: &Account) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let id = match &proposed.id {
            None if proposed.provider.uses_revoked_id() => match self.tested(proposed).await? {
                Login::Accepted(Some(id)) => Some(id),
                _ => {
                    tracing::warn!("the new key could not be stored and stays, because its id is unknown");
                    return Ok(());
                }
            },
            known => known.clone(),
        };
        tracing::info!("revoking the key that could not be stored");
        let service = Service::new(self.job, self.names, proposed, self.admin);
        service.revoke(revoke, &self.names.label(&self.job.token), id.as_deref()).await
    }

    /// Rule 2 for the key that this very invocation has put. Without a lock, another rotation can run after our second look and
    /// list the keys before this one exists. Once AWSCURRENT has moved, no other invocation for this token can promote the key
    /// any more. If a twin of this invocation has promoted it before that, the version has a label, and the key stays.
    pub(crate) async fn still_wanted(&self, current: &VersionId) -> Result<()> {
        let labels = self.job.store.describe().await?;
        let Err(closed) = gate::check(&labels, &self.job.token) else { return Ok(()) };
        let provider = &self.account.provider;
        let may_go = provider.revoke == Revoke::Previous && provider.overlap;
        let given_up = !labels.labelled().any(|id| *id == self.job.token);
        if labels.holder(Stage::Current) != Some(current) && given_up && may_go {
            self.end_own(&labels).await?;
        }
        Err(Error::new(Kind::Conflict, "another rotation moved the labels while this one put its key")
            .because(&closed))
    }

    /// Revokes the acting version's key, unless another version holds it too.
    async fn end_own(&self, labels: &Labels) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let revoker = Revoker { service: self.service(), revoke, survey: &self.survey().await? };
        let others = self.labelled(revoker.survey, labels, None).await?;
        let kept: Vec<&Account> = others.iter().map(Rc::as_ref).collect();
        self.end_version(&revoker, &self.job.token, Some(self.account), &kept).await
    }

    fn is_ours(&self, entry: &Entry) -> bool {
        entry.is_under(&self.names.prefix)
    }

    /// Whether a key belongs to this token but is not the stored one. If nothing tells the stored key from others, no key is a
    /// leftover.
    fn is_leftover(&self, entry: &Entry) -> bool {
        let ours = entry.label.as_deref() == Some(&self.names.label(&self.job.token));
        let stored = match (&self.account.id, &entry.key) {
            (Some(id), _) => *id == entry.id,
            (None, Some(key)) => key.same_as(&self.account.key),
            (None, None) => true,
        };
        ours && !stored
    }

    /// Revokes the key of one version, if anything proves that the key is that version's.
    async fn end_version(
        &self,
        revoker: &Revoker<'_>,
        version: &VersionId,
        held: Option<&Account>,
        kept: &[&Account],
    ) -> Result<()> {
        let found = self.end_listed(revoker, version, held, kept).await?;
        match held {
            Some(held) if !found => self.end_unlisted(revoker, version, held, kept).await,
            _ => Ok(()),
        }
    }

    /// Revokes the key of one version, if the listing proves that the key is that version's. Returns whether it revoked one.
    async fn end_listed(
        &self,
        revoker: &Revoker<'_>,
        version: &VersionId,
        held: Option<&Account>,
        kept: &[&Account],
    ) -> Result<bool> {
        let label = self.names.label(version);
        let its = |entry: &&Entry| {
            let shown = entry.key.as_ref().zip(held).is_some_and(|(key, held)| key.same_as(&held.key));
            (entry.label.as_ref() == Some(&label) || shown)
                && !kept.iter().any(|account| holds(account, entry))
        };
        let mut found = false;
        for entry in revoker.survey.entries().filter(its) {
            tracing::info!(version = version.as_str(), key = %entry.said_id(), "revoking the key of this version");
            revoker.end(entry).await?;
            found = true;
        }
        Ok(found)
    }

    /// Revokes the key of one version that no listing has proven, if the key proves itself.
    async fn end_unlisted(
        &self,
        revoker: &Revoker<'_>,
        version: &VersionId,
        held: &Account,
        kept: &[&Account],
    ) -> Result<()> {
        if let Err(error) = self.account.agree(held) {
            tracing::warn!(
                version = version.as_str(),
                reason = error.to_string(),
                "the key of this version is left alone"
            );
            return Ok(());
        }
        if kept.iter().any(|account| account.same_key(held)) {
            tracing::info!(
                version = version.as_str(),
                "this version's key is in use elsewhere, so it is not revoked"
            );
            return Ok(());
        }
        let label = self.names.label(version);
        if !held.provider.uses_revoked_id() {
            let own = Service::new(self.job, self.names, held, self.admin);
            let outcome = own.revoke(revoker.revoke, &label, None).await;
            // A key that revokes itself is refused if it has been revoked before.
            let refused = outcome.as_ref().is_err_and(|error| error.kind() == Kind::CredentialRejected);
            return match refused && matches!(self.tested(held).await?, Login::Rejected(_)) {
                true => Ok(()),
                false => outcome,
            };
        }
        let Login::Accepted(id) = self.tested(held).await? else { return Ok(()) };
        match id.filter(|id| !kept.iter().any(|account| account.id.as_ref() == Some(id))) {
            Some(id) => revoker.service.revoke(revoker.revoke, &label, Some(&id)).await,
            None => {
                tracing::warn!(
                    version = version.as_str(),
                    "nothing proves which of the service's keys this version's is: if it still works, revoke it by hand"
                );
                Ok(())
            }
        }
    }

    /// Tests whether a version's key works, and reads its id if the test shows one. If the caller needs only the id and no test
    /// shows it, none is made. Without an answer, the error makes Secrets Manager try again. Any other error proves nothing, and
    /// a retry would not change that.
    async fn tested(&self, held: &Account) -> Result<Login<Option<String>>> {
        if held.provider.uses_revoked_id() && !held.provider.proves_id() {
            return Ok(Login::Accepted(None));
        }
        match self.target.accepted(self.job, held).await {
            Ok(Login::Accepted(session)) => Ok(Login::Accepted(session.id)),
            Ok(Login::Rejected(words)) => Ok(Login::Rejected(words)),
            Err(error) if matches!(error.kind(), Kind::Unreachable | Kind::Throttled) => Err(error),
            Err(error) => {
                tracing::warn!(reason = error.story(), "the test of a key says neither yes nor no");
                Ok(Login::Accepted(None))
            }
        }
    }

    /// The accounts of all other labelled versions, except the version whose key is to be revoked.
    async fn labelled(
        &self,
        survey: &Survey,
        labels: &Labels,
        going: Option<&VersionId>,
    ) -> Result<Vec<Rc<Account>>> {
        let mut others = Vec::new();
        for id in labels.labelled().filter(|id| **id != self.job.token && Some(*id) != going) {
            others.extend(self.understood(survey, id).await?);
        }
        Ok(others)
    }

    /// These accounts, and the acting version's. None of their keys is ever revoked.
    fn kept<'k>(&'k self, others: &'k [Rc<Account>]) -> Vec<&'k Account> {
        others.iter().map(Rc::as_ref).chain([self.account]).collect()
    }

    /// A version's account, read once; `None` if the version has no value, or none that this target understands.
    async fn understood(&self, survey: &Survey, id: &VersionId) -> Result<Option<Rc<Account>>> {
        if let Some(known) = survey.read.borrow().get(id) {
            return Ok(Some(Rc::clone(known)));
        }
        let Some(version) = self.job.store.version(id).await? else { return Ok(None) };
        match parse::version(self.target, self.job, version) {
            Ok(held) => {
                let account = Rc::new(held.account);
                survey.read.borrow_mut().insert(id.clone(), Rc::clone(&account));
                Ok(Some(account))
            }
            Err(error) => {
                let (version, reason) = (id.as_str(), error.to_string());
                tracing::info!(version, reason, "skipped a version that could not be read");
                Ok(None)
            }
        }
    }
}

/// The service whose keys are revoked, and what this step knows of them.
struct Revoker<'a> {
    service: Service<'a>,
    revoke: &'a Call,
    survey: &'a Survey,
}

impl Revoker<'_> {
    /// Revokes listed keys of this secret, except those that a version in use holds.
    async fn end_all(&self, victims: &[&Entry], kept: &[&Account]) -> Result<()> {
        for entry in victims.iter().filter(|entry| !kept.iter().any(|account| holds(account, entry))) {
            tracing::warn!(key = %entry.said_id(), "revoking a key that no version in use holds");
            self.end(entry).await?;
        }
        Ok(())
    }

    async fn end(&self, entry: &Entry) -> Result<()> {
        self.service.revoke(self.revoke, entry.label.as_deref().unwrap_or_default(), Some(&entry.id)).await?;
        self.survey.revoked.borrow_mut().push(entry.id.clone());
        Ok(())
    }
}

/// The version whose key is to be revoked: AWSPREVIOUS, unless somebody else has put a label on it, too.
fn previous_to_revoke(labels: &Labels) -> Option<&VersionId> {
    let previous = labels.holder(Stage::Previous)?;
    if labels.versions.as_ref()?.get(previous)?.len() > 1 {
        tracing::info!(version = previous.as_str(), "AWSPREVIOUS has another label too; its key is kept");
        return None;
    }
    Some(previous)
}

/// Whether a version holds a listed key.
fn holds(account: &Account, entry: &Entry) -> bool {
    account.id.as_ref() == Some(&entry.id) || entry.key.as_ref().is_some_and(|key| key.same_as(&account.key))
}
