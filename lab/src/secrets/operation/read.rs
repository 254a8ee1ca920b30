//! GetSecretValue and BatchGetSecretValue.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::context::{Answer, Context, page};
use super::list::Filters;
use crate::secrets::input::Input;
use crate::secrets::name::SecretId;
use crate::secrets::policy;
use crate::secrets::refusal::Refusal;
use crate::secrets::secret::{CURRENT, Content, Secret, Version};
use crate::secrets::state::Found;

pub(super) fn secret_value(cx: &mut Context<'_>, input: &Input) -> Answer {
    let id = input.version_id("VersionId")?;
    let label = input.text("VersionStage", 1, 256)?;
    let found = cx.find_live(input, "GetSecretValue")?;
    read(cx, &found, id, label)
}

fn read(cx: &mut Context<'_>, found: &Found, id: Option<&str>, label: Option<&str>) -> Answer {
    let secret = seen(cx, found)?;
    let version = choose(&secret, id, label)?;
    cx.state.note_access(found, &version.id, cx.now.day());
    Ok(entry(&secret, version, &found.region))
}

fn seen(cx: &Context<'_>, found: &Found) -> Result<Arc<Secret>, Refusal> {
    cx.state.lagging(&found.key, cx.value_lag)
}

/// The version that an id and a label name. An empty version counts as absent.
fn choose<'a>(secret: &'a Secret, id: Option<&str>, label: Option<&str>) -> Result<&'a Version, Refusal> {
    match (id, label) {
        (None, label) => {
            let label = label.unwrap_or(CURRENT);
            let version = secret.labelled(label).filter(|version| version.content.is_some());
            version.ok_or_else(|| Refusal::no_label(label))
        }
        (Some(id), None) => {
            let version = secret.version(id).filter(|version| version.content.is_some());
            version.ok_or_else(|| Refusal::no_version(id))
        }
        (Some(id), Some(label)) => {
            let version = secret.version(id).ok_or_else(|| Refusal::no_version(id))?;
            if !version.labels.contains(label) {
                return Err(Refusal::invalid_request(
                    "You provided a VersionStage that is not associated to the provided VersionId.",
                ));
            }
            Some(version).filter(|v| v.content.is_some()).ok_or_else(|| Refusal::no_label(label))
        }
    }
}

fn entry(secret: &Secret, version: &Version, region: &str) -> Value {
    let mut entry = json!({
        "ARN": secret.arn_in(region),
        "Name": secret.name,
        "VersionId": version.id,
        "CreatedDate": version.created.json(),
    });
    if !version.labels.is_empty() {
        entry["VersionStages"] = json!(version.labels);
    }
    match &version.content {
        Some(Content::Text(text)) => entry["SecretString"] = json!(text),
        Some(Content::Binary(bytes)) => entry["SecretBinary"] = json!(STANDARD.encode(bytes)),
        None => {}
    }
    entry
}

pub(super) fn batch_get_secret_value(cx: &mut Context<'_>, input: &Input) -> Answer {
    let ids = input.texts("SecretIdList", 1, 20)?;
    let filters = Filters::parse(input)?;
    let (ids, next) = match (ids, filters) {
        (Some(ids), None) if input.has("MaxResults") => {
            let _ = ids;
            let text = "To use the MaxResults parameter, you must also use the Filters parameter.";
            return Err(Refusal::invalid_parameter(text));
        }
        (Some(ids), None) => (ids.into_iter().map(ToOwned::to_owned).collect(), None),
        (None, Some(filters)) => {
            let found = filters.select(cx, false)?;
            let names = found.into_iter().map(|(found, _)| found.key.name).collect();
            page(names, input, 20)?
        }
        _ => {
            let text = "You must include either Filters or SecretIdList, but not both.";
            return Err(Refusal::invalid_parameter(text));
        }
    };
    let mut values = Vec::new();
    let mut errors = Vec::new();
    for id in ids {
        match one_of_batch(cx, &id, input) {
            Ok(value) => values.push(value),
            Err(refusal) => errors.push(json!({
                "SecretId": id, "ErrorCode": refusal.kind, "Message": refusal.message,
            })),
        }
    }
    let mut answer = json!({"SecretValues": values, "Errors": errors});
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn one_of_batch(cx: &mut Context<'_>, id: &str, input: &Input) -> Answer {
    let found = cx.named(&SecretId::parse(id)?)?;
    let secret = cx.secret(&found)?;
    policy::authorize(secret, &found.region, &cx.caller.account, "GetSecretValue", input)?;
    if secret.deletion.is_some() {
        return Err(Refusal::deleted());
    }
    read(cx, &found, None, None)
}
