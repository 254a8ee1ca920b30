//! The `Condition` of a policy's statement, with the operators and keys that matter for a secret.
//!
//! An unknown operator or key denies access: a Deny applies, and an Allow does not.

use serde_json::Value;

use super::text::{like, texts};

/// The properties of a request.
pub(super) struct Asked<'a> {
    pub(super) account: &'a str,
    pub(super) tags: &'a [(String, String)],
    /// The request's VersionStage.
    pub(super) stage: Option<&'a str>,
}

/// Whether a condition holds; `None` if it depends on something unknown.
pub(super) fn holds(condition: &Value, asked: &Asked<'_>) -> Option<bool> {
    let operators = condition.as_object().into_iter().flatten();
    let tests = operators.flat_map(|(operator, keys)| {
        keys.as_object().into_iter().flatten().map(|(key, values)| test(operator, key, values, asked))
    });
    let tests: Vec<Option<bool>> = tests.collect();
    // All tests have to hold, so one false test decides, whatever the unknown ones would give.
    match tests.contains(&Some(false)) {
        true => Some(false),
        false => tests.iter().all(|test| *test == Some(true)).then_some(true),
    }
}

fn test(operator: &str, key: &str, values: &Value, asked: &Asked<'_>) -> Option<bool> {
    let found = asked.value(key)?;
    let any = |is: &dyn Fn(&str) -> bool| one_or_more(values).map(|list| list.iter().any(|text| is(text)));
    if operator == "Null" {
        return any(&|text| text == found.is_none().to_string());
    }
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let (operator, negated) = match operator.split_once("Not") {
        Some((kind, rest)) => (format!("{kind}{rest}"), true),
        None => (operator.to_owned(), false),
    };
    let compare: fn(&str, &str) -> bool = match operator.as_str() {
        "StringEquals" => |wanted, is| wanted == is,
        "StringEqualsIgnoreCase" | "Bool" => |wanted, is| wanted.eq_ignore_ascii_case(is),
        "StringLike" | "ArnEquals" | "ArnLike" => like,
        _ => return None,
    };
    match found {
        // "If the key that you specify in a policy condition is not present in the request context, the values do not
        // match"; with a negated operator that means that the condition holds (IAM, "Condition operators").
        None => Some(if_exists || negated),
        Some(is) => any(&|wanted| compare(wanted, &is)).map(|matches| matches != negated),
    }
}

/// Values can be texts, or true and false.
fn one_or_more(values: &Value) -> Option<Vec<String>> {
    match values {
        Value::Bool(value) => Some(vec![value.to_string()]),
        _ => texts(values),
    }
}

impl Asked<'_> {
    /// The value of a condition key: `None` for an unknown key, `Some(None)` if the request has no such value.
    fn value(&self, key: &str) -> Option<Option<String>> {
        let lower = key.to_ascii_lowercase();
        if lower.starts_with("secretsmanager:resourcetag/") || lower.starts_with("aws:resourcetag/") {
            let tag = key.split_once('/')?.1;
            return Some(self.tags.iter().find(|(key, _)| key == tag).map(|(_, value)| value.clone()));
        }
        Some(match lower.as_str() {
            "aws:principalarn" => Some(format!("arn:aws:iam::{}:root", self.account)),
            "aws:principalaccount" => Some(self.account.to_owned()),
            // Only set if a service calls for somebody else, which never happens here.
            "aws:sourceaccount" | "aws:sourcearn" => None,
            // The lab's plain HTTP stands in for the service's TLS.
            "aws:securetransport" => Some("true".to_owned()),
            "secretsmanager:versionstage" => self.stage.map(ToOwned::to_owned),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(condition: Value, holds_now: Option<bool>) {
        let tags = [("team".to_owned(), "payments".to_owned())];
        let asked = Asked { account: "111122223333", tags: &tags, stage: Some("AWSCURRENT") };
        assert_eq!(holds(&condition, &asked), holds_now, "{condition}");
    }

    #[test]
    fn a_condition_on_a_known_key_is_compared() {
        check(json!({"StringEquals": {"aws:PrincipalAccount": ["1", "111122223333"]}}), Some(true));
        check(json!({"StringNotEquals": {"AWS:principalaccount": "111122223333"}}), Some(false));
        check(json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1111*:root"}}), Some(true));
        check(json!({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::9*:root"}}), Some(true));
        check(json!({"StringLike": {"secretsmanager:ResourceTag/team": "pay*"}}), Some(true));
        check(json!({"StringEquals": {"secretsmanager:ResourceTag/team": "pay*"}}), Some(false));
        check(json!({"StringEqualsIgnoreCase": {"aws:ResourceTag/team": "Payments"}}), Some(true));
        check(json!({"StringEquals": {"secretsmanager:VersionStage": "AWSPENDING"}}), Some(false));
        check(json!({"Bool": {"aws:SecureTransport": false}}), Some(false));
    }

    #[test]
    fn an_absent_value_matches_only_what_is_negated_or_optional() {
        check(json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}), Some(false));
        check(json!({"StringEqualsIfExists": {"aws:SourceAccount": "1"}}), Some(true));
        check(json!({"StringNotLike": {"aws:ResourceTag/none": "*"}}), Some(true));
        check(json!({"Null": {"aws:SourceAccount": "true", "aws:ResourceTag/team": false}}), Some(true));
        check(json!({"Null": {"aws:SourceAccount": "false"}}), Some(false));
    }

    #[test]
    fn a_failed_condition_decides_and_an_unknown_condition_leaves_the_answer_open() {
        let unknown = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
        check(unknown.clone(), None);
        check(json!({"ForAnyValue:StringEquals": {"aws:PrincipalAccount": "111122223333"}}), None);
        let mut both = unknown;
        both["StringEquals"] = json!({"aws:PrincipalAccount": "1"});
        check(both, Some(false));
    }
}
