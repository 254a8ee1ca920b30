//! Which keys are ours, and which of them may go: docs/decisions/0005-api-keys.md is the reasoning behind every line here.

use std::time::Duration;

use aws_lc_rs::digest;
use rotation::document::Fields;
use rotation::error::Result;
use rotation::job::Job;
use rotation::version::{Labels, Stage, VersionId};

use crate::ApiKey;
use crate::account::Account;
use crate::provider::schema::Call;
use crate::service::{Entry, Listing, Service};

/// No invocation lives longer than 15 minutes (Lambda quotas, "Function timeout"); the rest is for clocks.
const NOBODY_WAITS: Duration = Duration::from_secs(20 * 60);

/// What this secret calls its keys at the service.
pub struct Names {
    /// What all of them begin with.
    pub prefix: String,
    /// The AWS account of the secret.
    pub account: String,
}

impl Names {
    /// From the secret's full ARN, so that no two secrets share a name.
    pub fn new(arn: &str) -> Names {
        let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
        Names { prefix: format!("turnlock-{}-", short(arn)), account }
    }

    /// The name of a version's key.
    pub fn label(&self, version: &VersionId) -> String {
        format!("{}{}", self.prefix, short(version.as_str()))
    }
}

/// Sixteen hex digits: short enough for every service, and nobody finds a second ARN or token for them.
fn short(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys of a secret, and a version that acts on them.
pub struct Keys<'a> {
    /// This target, to understand other versions.
    pub target: &'a ApiKey,
    /// The invocation.
    pub job: &'a Job<'a>,
    /// What the keys are called.
    pub names: &'a Names,
    /// Which version acts.
    pub account: &'a Account,
    /// What authorises it.
    pub admin: &'a Fields,
}

impl<'a> Keys<'a> {
    fn service(&self) -> Service<'a> {
        Service::new(self.job, self.names, self.account, self.admin)
    }

    async fn listing(&self, service: &Service<'a>) -> Result<Listing> {
        match &self.account.provider.calls.list {
            Some(list) => service.list(list).await,
            None => Ok(Listing::default()),
        }
    }

    /// Rule 4, before a key is issued: those of earlier tries for this token that nobody can still be about to store.
    pub async fn sweep_old(&self) -> Result<()> {
        let provider = &self.account.provider;
        let (Some(list), Some(revoke)) = (&provider.calls.list, &provider.calls.revoke) else {
            return Ok(());
        };
        // What an idempotent service issued is issued again now, so it is no leftover.
        let same_again = provider.calls.issue.as_ref().is_some_and(Call::is_idempotent);
        if list.created.is_none() || !provider.sweeps() || same_again {
            return Ok(());
        }
        let (service, label) = (self.service(), self.names.label(&self.job.token));
        let listing = service.list(list).await?;
        for entry in listing.entries.iter().filter(|entry| entry.label.as_ref() == Some(&label)) {
            let age = listing.date.zip(entry.created).and_then(|(now, made)| now.duration_since(made).ok());
            if age.is_some_and(|age| age > NOBODY_WAITS) {
                tracing::warn!(key = entry.id, "revoking a key that an earlier try issued and did not store");
                service.revoke(revoke, &label, Some(&entry.id)).await?;
            }
        }
        Ok(())
    }

    /// For services that allow one key: the current one and whatever else is ours go before a new one can be made.
    pub async fn make_room(&self, current: &VersionId) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let service = self.service();
        let listing = self.listing(&service).await?;
        for entry in listing.entries.iter().filter(|entry| self.is_ours(entry)) {
            service.revoke(revoke, entry.label.as_deref().unwrap_or_default(), Some(&entry.id)).await?;
        }
        self.end(&service, revoke, current, self.account, &listing, &[]).await
    }

    /// Rules 1 and 3, before the labels move: leftovers of this token, and the key of AWSPREVIOUS.
    pub async fn retire(&self, labels: &Labels) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let previous = labels.holder(Stage::Previous).filter(|previous| {
            let others = labels.versions.iter().flatten().find(|(id, _)| id == previous);
            let pinned = others.is_some_and(|(_, labels)| labels.len() > 1);
            if pinned {
                tracing::info!(
                    version = previous.as_str(),
                    "AWSPREVIOUS carries another label too, so its key is kept"
                );
            }
            !pinned
        });
        let service = self.service();
        let listing = self.listing(&service).await?;
        let leftovers: Vec<&Entry> = listing.entries.iter().filter(|entry| self.is_leftover(entry)).collect();
        if previous.is_none() && leftovers.is_empty() {
            return Ok(());
        }
        let kept = self.kept(labels, previous).await?;
        self.revoke_all(&service, revoke, &leftovers, &kept).await?;
        let Some(previous) = previous else { return Ok(()) };
        let Some(held) = self.understood(previous).await? else { return Ok(()) };
        self.end(&service, revoke, previous, &held, &listing, &kept).await
    }

    /// Rules 1 and 2, after the labels have moved: what belongs to versions that lost their labels. Listed first, and only
    /// then compared with the labels: a version has its label before it has a key.
    pub async fn settle(&self) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let service = self.service();
        let listing = self.listing(&service).await?;
        let labels = self.job.store.describe().await?;
        if !labels.has(&self.job.token, Stage::Current) {
            return Ok(());
        }
        let versions = labels.versions.iter().flatten().filter(|(_, labels)| !labels.is_empty());
        let alive: Vec<String> = versions.map(|(id, _)| self.names.label(id)).collect();
        let given_up = |entry: &&Entry| {
            self.is_ours(entry) && !entry.label.as_ref().is_some_and(|label| alive.contains(label))
                || self.is_leftover(entry)
        };
        let victims: Vec<&Entry> = listing.entries.iter().filter(given_up).collect();
        if victims.is_empty() {
            return Ok(());
        }
        let kept = self.kept(&labels, None).await?;
        self.revoke_all(&service, revoke, &victims, &kept).await
    }

    /// Takes back the key that this very invocation issued and could not store.
    pub async fn withdraw(&self, proposed: &Account) -> Result<()> {
        let Some(revoke) = &self.account.provider.calls.revoke else { return Ok(()) };
        let service = Service::new(self.job, self.names, proposed, self.admin);
        tracing::info!("revoking the key that could not be stored");
        service.revoke(revoke, &self.names.label(&self.job.token), proposed.id.as_deref()).await
    }

    fn is_ours(&self, entry: &Entry) -> bool {
        entry.label.as_ref().is_some_and(|label| label.starts_with(&self.names.prefix))
    }

    /// A key of this token that is not the one that was stored. Where the stored one cannot be told from others, none is.
    fn is_leftover(&self, entry: &Entry) -> bool {
        let ours = entry.label.as_deref() == Some(&self.names.label(&self.job.token));
        let stored = match (&self.account.id, &entry.key) {
            (Some(id), _) => *id == entry.id,
            (None, Some(key)) => key.same_as(&self.account.key),
            (None, None) => true,
        };
        ours && !stored
    }

    /// Revokes listed keys of ours, but none that a version in use holds.
    async fn revoke_all(
        &self,
        service: &Service<'a>,
        revoke: &Call,
        victims: &[&Entry],
        kept: &[Account],
    ) -> Result<()> {
        for entry in victims.iter().filter(|entry| !kept.iter().any(|account| holds(account, entry))) {
            tracing::warn!(key = entry.id, "revoking a key that no version in use holds");
            service.revoke(revoke, entry.label.as_deref().unwrap_or_default(), Some(&entry.id)).await?;
        }
        Ok(())
    }

    /// Ends the key of one version, as far as it is proven to be that version's.
    async fn end(
        &self,
        service: &Service<'a>,
        revoke: &Call,
        version: &VersionId,
        held: &Account,
        listing: &Listing,
        kept: &[Account],
    ) -> Result<()> {
        let label = self.names.label(version);
        let its = |entry: &&Entry| {
            let shown = entry.key.as_ref().is_some_and(|key| key.same_as(&held.key));
            (entry.label.as_ref() == Some(&label) || shown)
                && !kept.iter().any(|account| holds(account, entry))
        };
        let mut found = false;
        for entry in listing.entries.iter().filter(its) {
            tracing::info!(version = version.as_str(), key = entry.id, "revoking the key of this version");
            service.revoke(revoke, &label, Some(&entry.id)).await?;
            found = true;
        }
        if found {
            return Ok(());
        }
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
        let own = Service::new(self.job, self.names, held, self.admin);
        if !held.provider.uses_revoked_id() {
            return own.revoke(revoke, &label, None).await;
        }
        let Some(test) = &held.provider.calls.test else { return Ok(()) };
        match own.test(test).await? {
            Err(_) => Ok(()),
            Ok(accepted) => {
                match accepted.id.filter(|id| !kept.iter().any(|account| account.id.as_ref() == Some(id))) {
                    Some(id) => service.revoke(revoke, &label, Some(&id)).await,
                    None => {
                        tracing::warn!(
                            version = version.as_str(),
                            "the key of this version works, and nothing proves which of the service's keys it is: revoke it by hand"
                        );
                        Ok(())
                    }
                }
            }
        }
    }

    /// What every version with a label holds, but for the one that is to go.
    async fn kept(&self, labels: &Labels, going: Option<&VersionId>) -> Result<Vec<Account>> {
        let mut kept = Vec::new();
        for (id, _) in
            labels.versions.iter().flatten().filter(|(id, labels)| !labels.is_empty() && Some(*id) != going)
        {
            kept.extend(self.understood(id).await?);
        }
        Ok(kept)
    }

    /// A version's account; none if it has no value, or none that means anything to us.
    async fn understood(&self, id: &VersionId) -> Result<Option<Account>> {
        let Some(version) = self.job.store.version(id).await? else { return Ok(None) };
        match self.job.hold(self.target, version) {
            Ok(held) => Ok(Some(held.account)),
            Err(error) => {
                tracing::info!(
                    version = id.as_str(),
                    reason = error.to_string(),
                    "a version was passed over"
                );
                Ok(None)
            }
        }
    }
}

/// Whether a version holds a listed key.
fn holds(account: &Account, entry: &Entry) -> bool {
    account.id.as_ref() == Some(&entry.id) || entry.key.as_ref().is_some_and(|key| key.same_as(&account.key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets_and_versions_apart() {
        let names = Names::new("arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf");
        assert_eq!(names.account, "123456789012");
        let (one, two) = (names.label(&VersionId::new("1")), names.label(&VersionId::new("2")));
        assert!(one != two && one.starts_with(&names.prefix) && one.len() == 42);
        assert_ne!(
            Names::new("arn:aws:secretsmanager:us-east-1:123456789012:secret:a-XyZxyZ").prefix,
            names.prefix
        );
    }
}
