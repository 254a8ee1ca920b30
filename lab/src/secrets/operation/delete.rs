//! DeleteSecret and RestoreSecret.

use serde_json::json;

use super::context::{Answer, Context};
use crate::secrets::input::Input;
use crate::secrets::name::{self, SecretId};
use crate::secrets::refusal::Refusal;

pub(super) fn delete_secret(cx: &mut Context<'_>, input: &Input) -> Answer {
    let window = input.number("RecoveryWindowInDays")?;
    let force = input.flag("ForceDeleteWithoutRecovery")?.unwrap_or(false);
    let days = match window.unwrap_or(30) {
        days @ 7..=30 => u64::try_from(days).expect("the range is positive"),
        _ => {
            return Err(Refusal::invalid_parameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            ));
        }
    };
    // After the range: moto's issue 6461 quotes the service.
    if force && window.is_some() {
        return Err(Refusal::invalid_parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    let found = match cx.find(input, "DeleteSecret") {
        // "the operation does not return the error ResourceNotFoundException in order to correctly handle retries"
        Err(refusal) if force && refusal == Refusal::no_secret() => return already_gone(cx, input),
        found => found?,
    };
    if found.is_replica() {
        return Err(Refusal::replica());
    }
    let now = cx.now;
    let secret = cx.secret(&found)?;
    if !secret.replicas.is_empty() {
        let regions: Vec<&str> = secret.replicas.keys().map(String::as_str).collect();
        // Recorded from the service: cloud-nuke's issue 435, aws-nuke's issue 1127.
        return Err(Refusal::invalid_parameter(format!(
            "You can't delete secret {} that still has replica regions [{}].",
            secret.arn(),
            regions.join(", ")
        )));
    }
    if secret.deletion.is_some() && !force {
        return Err(Refusal::deleted());
    }
    let (arn, name) = (secret.arn(), secret.name.clone());
    let gone_at = if force {
        cx.state.remove(&found.key);
        now
    } else {
        let gone_at = now.plus_days(days);
        cx.modify(&found.key)?.deletion = Some(gone_at);
        gone_at
    };
    Ok(json!({"ARN": arn, "Name": name, "DeletionDate": gone_at.json()}))
}

fn already_gone(cx: &Context<'_>, input: &Input) -> Answer {
    let name = match input.secret_id()? {
        SecretId::Name(name) | SecretId::Arn { name, .. } => name,
    };
    let arn = name::arn(&cx.caller.region, &cx.caller.account, &name, &name::new_suffix());
    Ok(json!({"ARN": arn, "Name": name, "DeletionDate": cx.now.json()}))
}

pub(super) fn restore_secret(cx: &mut Context<'_>, input: &Input) -> Answer {
    let found = cx.find(input, "RestoreSecret")?;
    if found.is_replica() {
        return Err(Refusal::replica());
    }
    let secret = cx.modify(&found.key)?;
    secret.deletion = None;
    Ok(json!({"ARN": secret.arn(), "Name": secret.name}))
}
