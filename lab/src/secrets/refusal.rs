//! The service's refusals: a type and a text, always HTTP 400 unless a fault says otherwise.

use std::fmt;

use serde_json::{Value, json};

/// An error answer of the service.
///
/// The texts are the service's own if they are recorded (LocalStack's validated snapshots), and otherwise follow the API
/// reference. They never contain a secret value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The bare exception name, for example `ResourceNotFoundException`.
    pub kind: String,
    /// The error's text.
    pub message: String,
    /// The HTTP status: 400 for every refusal; only faults have 5xx.
    pub status: u16,
}

impl Refusal {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into(), status: 400 }
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", message)
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// The refusal of a member that breaks a constraint of the service model. It leaves out the value, which may be a secret.
    pub(crate) fn constraint(member: &str, constraint: &str) -> Self {
        let mut letters = member.chars();
        let member: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
        Self::validation(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"
        ))
    }

    pub(crate) fn no_secret() -> Self {
        Self::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    }

    pub(crate) fn no_version(id: &str) -> Self {
        let text = format!("Secrets Manager can't find the specified secret value for VersionId: {id}");
        Self::new("ResourceNotFoundException", text)
    }

    pub(crate) fn no_label(label: &str) -> Self {
        let text =
            format!("Secrets Manager can't find the specified secret value for staging label: {label}");
        Self::new("ResourceNotFoundException", text)
    }

    pub(crate) fn deleted() -> Self {
        Self::invalid_request(
            "You can't perform this operation on the secret because it was marked for deletion.",
        )
    }

    pub(crate) fn token_in_use(token: &str, arn: &str) -> Self {
        let text = format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."
        );
        Self::new("ResourceExistsException", text)
    }

    /// Recorded from the service: cloud-nuke's issue 435, aws-nuke's issue 1127.
    pub(crate) fn replica() -> Self {
        Self::invalid_parameter(
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        )
    }

    pub(crate) fn body(&self) -> Value {
        json!({"__type": self.kind, "Message": self.message})
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Refusal {}
