//! Versions of a secret and the labels on them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use crate::value::document::Document;

/// The identity of one version: the token of the rotation that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(String);

impl VersionId {
    /// Takes an id as the service writes it.
    pub fn new(id: impl Into<String>) -> VersionId {
        VersionId(id.into())
    }

    /// The id as the service writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The labels a rotation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What clients use.
    Current,
    /// What is being made.
    Pending,
    /// What clients used before.
    Previous,
}

impl Stage {
    /// The label's name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Current => "AWSCURRENT",
            Stage::Pending => "AWSPENDING",
            Stage::Previous => "AWSPREVIOUS",
        }
    }
}

/// One version with its value.
pub struct Version {
    /// Which.
    pub id: VersionId,
    /// What it holds.
    pub document: Document,
    /// When it was made.
    pub created: Option<SystemTime>,
}

/// One version of the secret, parsed.
pub struct Parsed<A> {
    /// Which version.
    pub id: VersionId,
    /// What it says, in the target's own terms.
    pub account: A,
    /// What it says, to the letter.
    pub document: Document,
}

/// What DescribeSecret says.
#[derive(Debug, Default)]
pub struct Labels {
    /// The secret's full ARN.
    pub arn: String,
    /// Absent before rotation was ever switched on; then it counts as on.
    pub rotation_enabled: Option<bool>,
    /// The attached function.
    pub function: Option<String>,
    /// Which labels each version carries; absent when there is none.
    pub versions: Option<BTreeMap<VersionId, Vec<String>>>,
    /// The secret's tags.
    pub tags: Vec<(String, String)>,
}

impl Labels {
    /// Which version carries a label.
    pub fn holder(&self, stage: Stage) -> Option<&VersionId> {
        let mut versions = self.versions.iter().flatten();
        versions.find(|(_, labels)| labels.iter().any(|label| label == stage.name())).map(|(id, _)| id)
    }

    /// The versions that carry any label.
    pub fn labelled(&self) -> impl Iterator<Item = &VersionId> {
        self.versions.iter().flatten().filter(|(_, labels)| !labels.is_empty()).map(|(id, _)| id)
    }

    /// What a tag says; their names know no case, as AWS's functions read them.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let mut tags = self.tags.iter().rev();
        tags.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a version is known at all.
    pub fn knows(&self, version: &VersionId) -> bool {
        self.versions.as_ref().is_some_and(|versions| versions.contains_key(version))
    }

    /// Whether this version carries that label.
    pub fn has(&self, version: &VersionId, stage: Stage) -> bool {
        self.holder(stage) == Some(version)
    }
}
