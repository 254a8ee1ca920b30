//! One secret, its versions and the rules of their labels. This file knows no request and no wire format.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::name;
use super::refusal::Refusal;
use super::settings::Settings;

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PENDING: &str = "AWSPENDING";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";

/// The model's `SecretVersionStagesType` allows twenty labels on a version.
const LABELS_PER_VERSION: usize = 20;
/// "Secrets Manager removes deprecated versions when there are more than 100" (Secrets Manager concepts) ...
const DEPRECATED_KEPT: usize = 100;
/// ... but "does not remove versions that were created less than 24 hours ago".
const DEPRECATED_KEPT_FOR: u64 = Moment::DAY;

/// The content of a version. It has no `Debug`, because it is the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Content {
    Text(String),
    Binary(Vec<u8>),
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// `None` in the empty version that RotateSecret makes.
    pub(crate) content: Option<Content>,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) created: Moment,
    pub(crate) accessed: Option<Moment>,
    pub(crate) kms_key: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replica {
    pub(crate) kms_key: Option<String>,
    /// Why the replica does not follow, if it does not.
    pub(crate) failure: Option<String>,
    pub(crate) accessed: Option<Moment>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) suffix: String,
    pub(crate) description: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) kind: Option<String>,
    /// `None` before the first tag. Later the list may become empty again.
    pub(crate) tags: Option<Vec<(String, String)>>,
    /// In the order of creation.
    pub(crate) versions: Vec<Version>,
    pub(crate) created: Moment,
    pub(crate) changed: Moment,
    pub(crate) accessed: Option<Moment>,
    /// When the recovery window ends, if the secret is scheduled for deletion.
    pub(crate) deletion: Option<Moment>,
    /// `None` until rotation is first configured.
    pub(crate) rotation: Option<Settings>,
    pub(crate) policy: Option<String>,
    pub(crate) replicas: BTreeMap<String, Replica>,
}

impl Secret {
    pub(crate) fn new(account: &str, region: &str, name: &str, now: Moment) -> Self {
        Self {
            account: account.into(),
            region: region.into(),
            name: name.into(),
            suffix: name::new_suffix(),
            description: None,
            kms_key: None,
            kind: None,
            tags: None,
            versions: Vec::new(),
            created: now,
            changed: now,
            accessed: None,
            deletion: None,
            rotation: None,
            policy: None,
            replicas: BTreeMap::new(),
        }
    }

    pub(crate) fn arn(&self) -> String {
        self.arn_in(&self.region)
    }

    /// A replica's ARN differs from its primary's only in the Region.
    pub(crate) fn arn_in(&self, region: &str) -> String {
        name::arn(region, &self.account, &self.name, &self.suffix)
    }

    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    pub(crate) fn version_mut(&mut self, id: &str) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.id == id)
    }

    pub(crate) fn labelled(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.labels.contains(label))
    }

    pub(crate) fn id_of(&self, label: &str) -> Option<String> {
        self.labelled(label).map(|version| version.id.clone())
    }

    /// Whether a rotation is running or was given up: AWSPENDING is on another version than AWSCURRENT.
    pub(crate) fn rotation_incomplete(&self) -> bool {
        self.labelled(PENDING).is_some_and(|version| !version.labels.contains(CURRENT))
    }

    /// Adds a version without labels, and drops deprecated versions that are too many and old enough.
    pub(crate) fn add_version(&mut self, id: &str, content: Option<Content>, now: Moment) {
        self.versions.push(Version {
            id: id.into(),
            content,
            labels: BTreeSet::new(),
            created: now,
            accessed: None,
            kms_key: self.kms_key.clone(),
        });
        let deprecated =
            self.versions.iter().filter(|version| version.labels.is_empty() && version.id != id).count();
        let mut too_many = deprecated.saturating_sub(DEPRECATED_KEPT);
        self.versions.retain(|version| {
            let old = version.created.0 + DEPRECATED_KEPT_FOR <= now.0;
            let goes = too_many > 0 && version.labels.is_empty() && version.id != id && old;
            too_many -= usize::from(goes);
            !goes
        });
    }

    /// Moves a label to a version. When AWSCURRENT moves, AWSPREVIOUS follows it.
    pub(crate) fn attach(&mut self, label: &str, id: &str) {
        let former = self.id_of(label);
        if former.as_deref() == Some(id) {
            return;
        }
        self.detach(label);
        if let Some(version) = self.version_mut(id) {
            version.labels.insert(label.into());
        }
        if let (CURRENT, Some(former)) = (label, former) {
            self.attach(PREVIOUS, &former);
        }
    }

    pub(crate) fn detach(&mut self, label: &str) {
        for version in &mut self.versions {
            version.labels.remove(label);
        }
    }

    /// Refuses more labels than a version can have.
    pub(crate) fn check_room(&self, id: &str, more: &[&str]) -> Result<(), Refusal> {
        let mut labels: BTreeSet<&str> = more.iter().copied().collect();
        labels.extend(
            self.version(id).into_iter().flat_map(|version| version.labels.iter().map(String::as_str)),
        );
        if labels.len() > LABELS_PER_VERSION {
            let text =
                "The request failed because it would exceed the quota of 20 staging labels on a version.";
            return Err(Refusal::new("LimitExceededException", text));
        }
        Ok(())
    }
}
