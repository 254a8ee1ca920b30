//! UpdateSecretVersionStage moves labels. The former holder makes it a compare-and-swap.

use serde_json::json;

use super::context::{Answer, Context};
use crate::secrets::input::Input;
use crate::secrets::refusal::Refusal;
use crate::secrets::secret::{CURRENT, Secret};

pub(super) fn update_secret_version_stage(cx: &mut Context<'_>, input: &Input) -> Answer {
    let label = input.required_text("VersionStage", 1, 256)?;
    let from = input.version_id("RemoveFromVersionId")?;
    let to = input.version_id("MoveToVersionId")?;
    let found = cx.find_primary(input, "UpdateSecretVersionStage")?;
    check_move(cx.secret(&found)?, label, from, to)?;
    let secret = cx.modify(&found.key)?;
    match to {
        Some(to) => secret.attach(label, to),
        None => secret.detach(label),
    }
    Ok(json!({"ARN": secret.arn(), "Name": secret.name}))
}

fn check_move(secret: &Secret, label: &str, from: Option<&str>, to: Option<&str>) -> Result<(), Refusal> {
    for id in [from, to].into_iter().flatten() {
        if secret.version(id).is_none() {
            return Err(Refusal::no_version(id));
        }
    }
    if to.is_none() && from.is_none() {
        return Err(Refusal::invalid_parameter(
            "You must specify MoveToVersionId, RemoveFromVersionId or both.",
        ));
    }
    if to.is_none() && label == CURRENT {
        return Err(Refusal::invalid_parameter(
            "You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed.",
        ));
    }
    let holder = secret.id_of(label);
    match (holder.as_deref(), from) {
        (Some(holder), None) if to != Some(holder) => Err(Refusal::invalid_parameter(format!(
            "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to \
             version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
        ))),
        (holder, Some(from)) if holder != Some(from) => Err(Refusal::invalid_parameter(format!(
            "The version in RemoveFromVersionId, {from}, does not have the staging label {label} attached."
        ))),
        _ => to.map_or(Ok(()), |to| secret.check_room(to, &[label])),
    }
}
