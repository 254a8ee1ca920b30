//! PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy and ValidateResourcePolicy.

use serde_json::json;

use super::context::{Answer, Context};
use crate::secrets::input::Input;
use crate::secrets::policy::Policy;
use crate::secrets::refusal::Refusal;

pub(super) fn put_resource_policy(cx: &mut Context<'_>, input: &Input) -> Answer {
    let text = input.required_text("ResourcePolicy", 1, 20_480)?;
    let block_public = input.flag("BlockPublicPolicy")?.unwrap_or(false);
    check_policy_name(input)?;
    let found = cx.find_primary(input, "PutResourcePolicy")?;
    let policy = Policy::parse(text)?;
    if block_public && policy.is_public() {
        return Err(Refusal::new(
            "PublicPolicyException",
            "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent broad access to the secret.",
        ));
    }
    let secret = cx.modify(&found.key)?;
    secret.policy = Some(text.into());
    Ok(json!({"ARN": secret.arn(), "Name": secret.name}))
}

pub(super) fn resource_policy(cx: &mut Context<'_>, input: &Input) -> Answer {
    check_policy_name(input)?;
    let found = cx.find_live(input, "GetResourcePolicy")?;
    let secret = cx.secret(&found)?;
    let mut answer = json!({"ARN": secret.arn_in(&found.region), "Name": secret.name});
    if let Some(policy) = &secret.policy {
        answer["ResourcePolicy"] = json!(policy);
    }
    Ok(answer)
}

pub(super) fn delete_resource_policy(cx: &mut Context<'_>, input: &Input) -> Answer {
    check_policy_name(input)?;
    let found = cx.find_primary(input, "DeleteResourcePolicy")?;
    let secret = cx.modify(&found.key)?;
    secret.policy = None;
    Ok(json!({"ARN": secret.arn(), "Name": secret.name}))
}

pub(super) fn validate_resource_policy(cx: &mut Context<'_>, input: &Input) -> Answer {
    let text = input.required_text("ResourcePolicy", 1, 20_480)?;
    if input.has("SecretId") {
        cx.find_live(input, "ValidateResourcePolicy")?;
    }
    let errors: Vec<_> = match Policy::parse(text) {
        Err(refusal) => vec![json!({"CheckName": "POLICY_SYNTAX", "ErrorMessage": refusal.message})],
        Ok(policy) if policy.is_public() => vec![json!({
            "CheckName": "PUBLIC_POLICY",
            "ErrorMessage": "The resource policy grants broad access to the secret.",
        })],
        Ok(_) => Vec::new(),
    };
    Ok(json!({"PolicyValidationPassed": errors.is_empty(), "ValidationErrors": errors}))
}

/// "You can only attach the default policy; if you specify any other name, the operation returns an
/// InvalidParameterException" (PutResourcePolicy).
fn check_policy_name(input: &Input) -> Result<(), Refusal> {
    match input.text("PolicyName", 1, 64)? {
        None | Some("default") => Ok(()),
        Some(_) => Err(Refusal::invalid_parameter("The only policy name is default.")),
    }
}
