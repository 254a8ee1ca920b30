//! Names of secrets.

/// The name in a secret's ARN, without the six characters that Secrets Manager appends.
pub(crate) fn name_of(id: &str) -> &str {
    let Some(name) = id.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(5)) else { return id };
    name.len().checked_sub(7).map_or(name, |end| name.get(..end).unwrap_or(name))
}
