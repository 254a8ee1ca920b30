//! Resource policies: their form, and whether they give another account access.
//!
//! An unknown condition denies access ([`condition`] has the known ones).

mod condition;
mod text;

use serde_json::Value;

use super::input::Input;
use super::refusal::Refusal;
use super::secret::Secret;
use condition::Asked;
use text::{like, texts};

pub(crate) struct Policy(Vec<Statement>);

struct Statement {
    allows: bool,
    /// Accounts, or `*`.
    principals: Vec<String>,
    actions: Vec<String>,
    resources: Vec<String>,
    condition: Option<Value>,
}

/// An account may use its own secrets unless a policy denies it, and another account's only if a policy allows it.
pub(crate) fn authorize(
    secret: &Secret,
    region: &str,
    account: &str,
    action: &str,
    input: &Input,
) -> Result<(), Refusal> {
    // The operation itself reports an invalid stage.
    let stage = input.text("VersionStage", 1, 256).ok().flatten();
    let asked = Asked { account, tags: secret.tags.as_deref().unwrap_or_default(), stage };
    let own = secret.account == account;
    let statements = secret.policy.as_deref().and_then(|text| Policy::parse(text).ok());
    let arn = secret.arn_in(region);
    let applies = |allows: bool| {
        let mut statements = statements.iter().flat_map(|policy| &policy.0);
        statements.any(|s| s.allows == allows && s.covers(account, action, &arn) && s.applies(&asked))
    };
    let reason = match (applies(false), own || applies(true)) {
        (true, _) => "with an explicit deny in a resource-based policy".to_owned(),
        (false, true) => return Ok(()),
        (false, false) => {
            format!("because no resource-based policy allows the secretsmanager:{action} action")
        }
    };
    Err(Refusal::new(
        "AccessDeniedException",
        format!(
            "User: arn:aws:iam::{account}:root is not authorized to perform: secretsmanager:{action} on resource: {arn} {reason}"
        ),
    ))
}

impl Policy {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = |what: &str| {
            Refusal::new("MalformedPolicyDocumentException", format!("This resource policy {what}."))
        };
        let policy: Value = serde_json::from_str(text).map_err(|_| malformed("contains invalid Json"))?;
        let statements = match &policy["Statement"] {
            Value::Array(list) if !list.is_empty() => list.iter().collect(),
            one @ Value::Object(_) => vec![one],
            _ => return Err(malformed("has no Statement")),
        };
        let statements = statements.into_iter().map(|statement| {
            let allows = match statement["Effect"].as_str() {
                Some("Allow") => true,
                Some("Deny") => false,
                _ => return Err(malformed("has a statement without the Effect Allow or Deny")),
            };
            let principals = principals(&statement["Principal"])
                .ok_or_else(|| malformed("has a statement without a valid Principal"))?;
            let actions = texts(&statement["Action"])
                .ok_or_else(|| malformed("has a statement without a valid Action"))?;
            let resources = texts(&statement["Resource"])
                .ok_or_else(|| malformed("has a statement without a valid Resource"))?;
            let condition = statement.get("Condition").cloned();
            Ok(Statement { allows, principals, actions, resources, condition })
        });
        statements.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the policy gives everybody access.
    pub(crate) fn is_public(&self) -> bool {
        self.0.iter().any(|s| s.allows && s.condition.is_none() && s.principals.iter().any(|who| who == "*"))
    }
}

impl Statement {
    fn covers(&self, account: &str, action: &str, arn: &str) -> bool {
        let action = format!("secretsmanager:{action}");
        self.principals.iter().any(|who| who == "*" || who == account)
            && self.actions.iter().any(|pattern| like(&pattern.to_lowercase(), &action.to_lowercase()))
            && self.resources.iter().any(|pattern| like(pattern, arn))
    }

    fn applies(&self, asked: &Asked<'_>) -> bool {
        let condition = self.condition.as_ref();
        condition.is_none_or(|condition| condition::holds(condition, asked).unwrap_or(!self.allows))
    }
}

/// The accounts that a `Principal` names: `*`, an account, or any ARN of an account.
fn principals(principal: &Value) -> Option<Vec<String>> {
    let account = |text: &str| match text.split(':').nth(4) {
        Some(account) if text.starts_with("arn:") => account.to_owned(),
        _ => text.to_owned(),
    };
    match principal {
        Value::String(text) if text == "*" => Some(vec![text.clone()]),
        // Services and federated users are principals too, but they never call the lab.
        Value::Object(kinds) if !kinds.is_empty() => match kinds.get("AWS") {
            Some(names) => Some(texts(names)?.iter().map(|text| account(text)).collect()),
            None => Some(Vec::new()),
        },
        _ => None,
    }
}
