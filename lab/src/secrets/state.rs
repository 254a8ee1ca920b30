//! Every secret of every account and Region, and the search by `SecretId`.
//!
//! All changes happen here, so that the file on disk and the lag of reads have to watch only one place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::name::SecretId;
use super::refusal::Refusal;
use super::secret::Secret;

/// Identifies a secret: its account, its primary Region and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn of(secret: &Secret) -> Self {
        Self { account: secret.account.clone(), region: secret.region.clone(), name: secret.name.clone() }
    }
}

/// A secret that was found, and the Region in which it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) region: String,
}

impl Found {
    pub(crate) fn is_replica(&self) -> bool {
        self.region != self.key.region
    }
}

/// When a change was made, and the secret before it, if it existed.
type Before = (Instant, Option<Arc<Secret>>);

#[derive(Default)]
pub(crate) struct State {
    secrets: BTreeMap<Key, Arc<Secret>>,
    /// Replicas, under the Region in which they are read. The value is the primary's Region, where each is looked up.
    replicas: BTreeMap<Key, String>,
    changed: BTreeSet<Key>,
    /// The secrets before their latest changes, as long as a lagging read may need them.
    before: BTreeMap<Key, VecDeque<Before>>,
    /// How long `before` reaches back.
    pub(crate) remember: Duration,
}

impl State {
    /// The state of a file. Rotations that were running count as given up, because nobody drives them any more.
    pub(crate) fn restore(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut state = Self::default();
        for mut secret in secrets {
            let under_way = secret.rotation.as_mut().and_then(|settings| settings.under_way.as_mut());
            under_way.into_iter().for_each(|rotation| rotation.given_up = true);
            state.put(secret);
        }
        state.changed.clear();
        state
    }

    /// Finds a secret by name or ARN, unless its recovery window has ended.
    pub(crate) fn find(
        &self,
        account: &str,
        region: &str,
        id: &SecretId,
        now: Moment,
    ) -> Result<Found, Refusal> {
        let (account, name, suffix) = match id {
            SecretId::Name(name) => (account, name, None),
            // An ARN of another Region names nothing here, because each Region is a separate service.
            SecretId::Arn { region: other, .. } if other != region => return Err(Refusal::no_secret()),
            SecretId::Arn { account, name, suffix, .. } => (account.as_str(), name, suffix.as_ref()),
        };
        let mut key = Key { account: account.into(), region: region.into(), name: name.clone() };
        if let Some(primary) = self.replicas.get(&key) {
            key.region = primary.clone();
        }
        let secret = self.secrets.get(&key).ok_or_else(Refusal::no_secret)?;
        if suffix.is_some_and(|suffix| *suffix != secret.suffix) || is_over(secret, now) {
            return Err(Refusal::no_secret());
        }
        Ok(Found { key, region: region.into() })
    }

    pub(crate) fn secret(&self, key: &Key) -> Result<&Arc<Secret>, Refusal> {
        self.secrets.get(key).ok_or_else(Refusal::no_secret)
    }

    /// The secret as seen by a read that lags behind the writes by up to `lag`.
    pub(crate) fn lagging(&self, key: &Key, lag: Duration) -> Result<Arc<Secret>, Refusal> {
        let now = Instant::now();
        let before = self.before.get(key).into_iter().flatten().find(|(at, _)| *at + lag > now);
        match before {
            Some((_, secret)) => secret.clone().ok_or_else(Refusal::no_secret),
            None => self.secret(key).cloned(),
        }
    }

    pub(crate) fn secret_mut(&mut self, key: &Key) -> Result<&mut Secret, Refusal> {
        self.note_change(key);
        self.secrets.get_mut(key).map(Arc::make_mut).ok_or_else(Refusal::no_secret)
    }

    /// Notes a date of access. Lagging reads do not depend on it.
    pub(crate) fn note_access(&mut self, found: &Found, version: &str, day: Moment) {
        let Some(secret) = self.secrets.get(&found.key) else { return };
        let told = match secret.replicas.get(&found.region) {
            Some(replica) => replica.accessed,
            None => secret.accessed,
        };
        let version_told = secret.version(version).and_then(|version| version.accessed);
        if told == Some(day) && version_told == Some(day) {
            return;
        }
        self.changed.insert(found.key.clone());
        let Some(secret) = self.secrets.get_mut(&found.key).map(Arc::make_mut) else { return };
        match secret.replicas.get_mut(&found.region) {
            Some(replica) => replica.accessed = Some(day),
            None => secret.accessed = Some(day),
        }
        if let Some(version) = secret.version_mut(version) {
            version.accessed = Some(day);
        }
    }

    pub(crate) fn put(&mut self, secret: Secret) {
        let key = Key::of(&secret);
        self.note_change(&key);
        for region in secret.replicas.iter().filter(|(_, replica)| replica.failure.is_none()).map(|(r, _)| r)
        {
            self.replicas.insert(Key { region: region.clone(), ..key.clone() }, key.region.clone());
        }
        self.secrets.insert(key, Arc::new(secret));
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.note_change(key);
        if let Some(secret) = self.secrets.remove(key) {
            for region in secret.replicas.keys() {
                self.forget_replica(key, region);
            }
        }
    }

    /// Removes a Region's replica from the search.
    pub(crate) fn forget_replica(&mut self, primary: &Key, region: &str) {
        let replica = Key { region: region.into(), ..primary.clone() };
        if self.replicas.get(&replica) == Some(&primary.region) {
            self.replicas.remove(&replica);
        }
    }

    /// Adds a Region's replica to the search.
    pub(crate) fn remember_replica(&mut self, primary: &Key, region: &str) {
        let replica = Key { region: region.into(), ..primary.clone() };
        self.replicas.insert(replica, primary.region.clone());
    }

    /// Secrets and replicas of one account and Region, by name.
    pub(crate) fn in_region(&self, account: &str, region: &str, now: Moment) -> Vec<Found> {
        let here = |key: &&Key| key.account == account && key.region == region;
        let own =
            self.secrets.keys().filter(here).map(|key| Found { key: key.clone(), region: region.into() });
        let replicas = self.replicas.iter().filter(|(key, _)| here(key)).map(|(key, primary)| Found {
            key: Key { region: primary.clone(), ..key.clone() },
            region: region.into(),
        });
        let there = |found: &Found| self.secrets.get(&found.key).is_some_and(|secret| !is_over(secret, now));
        own.chain(replicas).filter(there).collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Arc<Secret>)> {
        self.secrets.iter()
    }

    /// Removes the secrets whose recovery window has ended. Nobody can find them any more.
    pub(crate) fn remove_expired(&mut self, now: Moment) {
        let expired = self.secrets.iter().filter(|(_, secret)| is_over(secret, now));
        for key in expired.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.remove(&key);
        }
    }

    /// The secrets whose rotation window has opened.
    pub(crate) fn due(&self, now: Moment) -> Vec<Key> {
        let due = |secret: &Secret| {
            let settings = secret.rotation.as_ref().filter(|settings| settings.enabled);
            secret.deletion.is_none() && settings.and_then(|s| s.next).is_some_and(|next| next.opens <= now)
        };
        self.secrets.iter().filter(|(_, secret)| due(secret)).map(|(key, _)| key.clone()).collect()
    }

    /// The changes since the last call: each secret as it is now, or `None` if it was removed.
    pub(crate) fn take_changes(&mut self) -> Vec<(Key, Option<Arc<Secret>>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (self.secrets.get(&key).cloned(), key)).map(|(s, k)| (k, s)).collect()
    }

    fn note_change(&mut self, key: &Key) {
        self.changed.insert(key.clone());
        if self.remember.is_zero() {
            return;
        }
        let now = Instant::now();
        let before = self.before.entry(key.clone()).or_default();
        before.retain(|(at, _)| *at + self.remember > now);
        before.push_back((now, self.secrets.get(key).cloned()));
    }
}

fn is_over(secret: &Secret, now: Moment) -> bool {
    secret.deletion.is_some_and(|end| end <= now)
}
