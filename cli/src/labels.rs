//! A secret as Secrets Manager describes it: settings, versions and labels, without a value.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::SecretVersionsListEntry;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Value, json};

use crate::screen::{Paint, Screen};

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PENDING: &str = "AWSPENDING";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";

/// A secret without its values.
pub(crate) struct State {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) described: DescribeSecretOutput,
    /// Newest first.
    pub(crate) versions: Vec<Version>,
}

/// One version.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) labels: Vec<String>,
    pub(crate) created: Option<DateTime>,
}

impl Version {
    pub(crate) fn of(entry: SecretVersionsListEntry) -> Option<Version> {
        let mut labels = entry.version_stages.unwrap_or_default();
        labels.sort();
        Some(Version { id: entry.version_id?, labels, created: entry.created_date })
    }

    /// Id, time and labels.
    pub(crate) fn line(&self, screen: &Screen) -> String {
        let at = self.created.map_or_else(|| "empty               ".to_owned(), moment);
        format!("{}  {at}  {}", self.id, screen.paint(Paint::Strong, self.labels.join(", ")))
    }

    pub(crate) fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|it| it == label)
    }
}

impl State {
    pub(crate) fn new(described: DescribeSecretOutput, mut versions: Vec<Version>) -> State {
        // Only DescribeSecret may list the empty version of a rotation that has just begun.
        for (id, labels) in described.version_ids_to_stages.iter().flatten() {
            if !versions.iter().any(|version| version.id == *id) {
                versions.push(Version { id: id.clone(), labels: labels.clone(), created: None });
            }
        }
        versions
            .sort_by_key(|it| (it.created.is_some(), std::cmp::Reverse(it.created.map(|at| at.as_nanos()))));
        let (arn, name) = (described.arn.clone(), described.name.clone());
        State { arn: arn.unwrap_or_default(), name: name.unwrap_or_default(), described, versions }
    }

    /// The version that carries a label.
    pub(crate) fn with(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.has(label))
    }

    /// The version of a rotation that began and has not finished.
    pub(crate) fn under_way(&self) -> Option<&Version> {
        self.with(PENDING).filter(|version| !version.has(CURRENT))
    }

    /// The function that Secrets Manager calls.
    pub(crate) fn function(&self) -> Option<&str> {
        self.described.rotation_lambda_arn.as_deref()
    }

    /// The version under each label, as JSON.
    pub(crate) fn labels_json(&self) -> Value {
        let pairs = self.versions.iter().flat_map(|it| it.labels.iter().map(|label| (label, &it.id)));
        json!(pairs.collect::<BTreeMap<_, _>>())
    }

    /// Prints the versions with labels, one line each.
    pub(crate) fn print_labels(&self, screen: &Screen) {
        for version in self.versions.iter().filter(|version| !version.labels.is_empty()) {
            screen.out(format!("  {}", version.line(screen)));
        }
        let bare = self.versions.iter().filter(|version| version.labels.is_empty()).count();
        if bare > 0 {
            let text = format!("  and {bare} without a label");
            screen.out(screen.paint(Paint::Faint, text));
        }
    }
}

/// A time as text, in UTC, without fractions of a second.
pub(crate) fn moment(at: DateTime) -> String {
    DateTime::from_secs(at.secs()).fmt(Format::DateTime).unwrap_or_default()
}

/// Now, by this machine's clock.
pub(crate) fn now() -> DateTime {
    DateTime::from(std::time::SystemTime::now())
}
