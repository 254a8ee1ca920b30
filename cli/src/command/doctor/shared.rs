//! Checks whether another secret names the same account on the same server. Rotating one would lock out the clients of the other.

use super::value::Value;
use crate::account::Account;
use crate::failure::Failure;
use crate::finding::Finding;
use crate::labels::{CURRENT, State};

/// The suffix that AWS's functions and ours append to the name of the second of two users.
const CLONE: &str = "_clone";

/// Makes the check for a database secret; returns nothing for others. It reads other secrets' values only if `look` is set.
pub(super) async fn finding(account: &Account, state: &State, value: &Value, look: bool) -> Option<Finding> {
    let ours = Login::of(value)?;
    if !look {
        return Some(Finding::skipped(
            "shared",
            "another secret may name this account",
            Some("--others reads the other secrets' values to find out"),
        ));
    }
    Some(match others(account, &state.arn).await {
        Err(failure) => Finding::skipped("shared", failure.what, Some(&failure.hint)),
        Ok(others) => ours.compare(&others),
    })
}

/// Another secret's name and value; `None` if the value may not be read.
type Other = (String, Option<Value>);

async fn others(account: &Account, arn: &str) -> Result<Vec<Other>, Failure> {
    let mut found = Vec::new();
    for secret in account.list().await? {
        let (Some(other), Some(name)) = (secret.arn, secret.name) else { continue };
        let labels = secret.secret_versions_to_stages.unwrap_or_default();
        let current = labels.iter().find(|(_, labels)| labels.iter().any(|label| label == CURRENT));
        if let (Some((version, _)), true) = (current, other != arn) {
            let value = account.value(&other, version).await.ok().flatten();
            found.push((name, value.map(|text| Value::of(&text))));
        }
    }
    Ok(found)
}

/// An account on a server.
struct Login<'a> {
    host: String,
    port: Option<u16>,
    user: &'a str,
    alternates: bool,
}

impl<'a> Login<'a> {
    fn of(value: &'a Value) -> Option<Login<'a>> {
        value.wire()?;
        Some(Login {
            host: value.host()?.trim_end_matches('.').to_ascii_lowercase(),
            port: value.port(),
            user: value.user()?,
            alternates: value.has_admin(),
        })
    }

    /// Whether both are the same account, or two accounts of a pair that one rotation changes.
    fn meets(&self, other: &Login<'_>) -> bool {
        let base = |user: &str| user.strip_suffix(CLONE).unwrap_or(user).to_owned();
        let pair = (self.alternates || other.alternates) && base(self.user) == base(other.user);
        (self.user == other.user || pair) && self.host == other.host && self.port == other.port
    }

    fn compare(&self, others: &[Other]) -> Finding {
        let same: Vec<&str> = others
            .iter()
            .filter(|(_, value)| value.as_ref().and_then(Login::of).is_some_and(|login| self.meets(&login)))
            .map(|(name, _)| name.as_str())
            .collect();
        let unread = others.iter().filter(|(_, value)| value.is_none()).count();
        if !same.is_empty() {
            return Finding::fail(
                "shared",
                format!(
                    "the same account is named in {}: rotating one secret locks out the clients of the other",
                    same.join(", ")
                ),
                "keep one secret for the account and give it to all clients, or create an account for each secret",
            );
        }
        let read = others.len() - unread;
        match unread {
            0 => Finding::pass("shared", format!("none of {read} other secrets names this account")),
            _ => Finding::skipped(
                "shared",
                format!("none of {read} other secrets names this account; {unread} could not be read"),
                Some("you need secretsmanager:GetSecretValue on them"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(ours: serde_json::Value, theirs: serde_json::Value, expected: bool) {
        let (ours, theirs) = (Value::of(&ours.to_string()), Value::of(&theirs.to_string()));
        let meets = Login::of(&ours).unwrap().meets(&Login::of(&theirs).unwrap());
        assert_eq!(meets, expected);
    }

    #[test]
    fn an_account_is_a_user_on_a_server_and_a_pair_is_one_account() {
        let ours = json!({"engine": "postgres", "host": "db.example", "username": "app"});
        let with = |name: &str, value: serde_json::Value| {
            let mut theirs = ours.clone();
            theirs[name] = value;
            theirs
        };
        check(ours.clone(), ours.clone(), true);
        check(ours.clone(), with("host", json!("DB.example.")), true);
        check(ours.clone(), with("port", json!("5432")), true);
        check(ours.clone(), with("port", json!(5433)), false);
        check(ours.clone(), with("username", json!("other")), false);
        check(ours.clone(), with("username", json!("app_clone")), false);
        let mut pair = with("username", json!("app_clone"));
        pair["masterarn"] = json!("admin");
        check(ours.clone(), pair.clone(), true);
        check(pair, ours, true);
    }
}
