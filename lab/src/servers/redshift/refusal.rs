//! Refusals, worded as a server words them.

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) text: String,
}

/// Redshift's error for a statement that its grammar does not have.
pub(super) fn syntax(text: impl Into<String>) -> Refusal {
    Refusal { code: "42601", text: format!("syntax error: {}", text.into()) }
}
