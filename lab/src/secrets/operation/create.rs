//! CreateSecret.

use serde_json::json;

use super::context::{Answer, Context};
use super::put::{content, fill, required_token};
use super::{replicate, tag};
use crate::secrets::input::{Input, missing};
use crate::secrets::name::SecretId;
use crate::secrets::refusal::Refusal;
use crate::secrets::secret::{CURRENT, Content, Secret};
use crate::secrets::state::{Found, Key};

pub(super) fn create_secret(cx: &mut Context<'_>, input: &Input) -> Answer {
    let token = required_token(input, "InvalidRequestException")?;
    let name = input.text("Name", 1, 512)?.ok_or_else(|| missing("Name"))?;
    let content = content(input)?;
    let description = input.text("Description", 0, 2048)?;
    let kms_key = input.text("KmsKeyId", 0, 2048)?.filter(|key| !key.is_empty());
    let kind = input.text("Type", 0, 256)?;
    let tags = tag::tags(input)?;
    let regions = replicate::regions(input, &cx.caller.region)?;
    let overwrite = input.flag("ForceOverwriteReplicaSecret")?.unwrap_or(false);

    let (account, region) = (cx.caller.account.clone(), cx.caller.region.clone());
    if let Ok(found) = cx.named(&SecretId::Name(name.into())) {
        repeated(cx, &found, token, content.as_ref())?;
        return answer(cx, &found.key, content.is_some().then_some(token));
    }

    let mut secret = Secret::new(&account, &region, name, cx.now);
    secret.description = description.filter(|text| !text.is_empty()).map(Into::into);
    secret.kms_key = kms_key.map(Into::into);
    secret.kind = kind.map(Into::into);
    secret.tags = tags.filter(|tags| !tags.is_empty());
    let key = Key::of(&secret);
    cx.state.put(secret);
    let has_content = content.is_some();
    if let Some(content) = content {
        fill(cx, &key, token, content, &[CURRENT])?;
    }
    replicate::add(cx, &key, &regions, overwrite)?;
    answer(cx, &key, has_content.then_some(token))
}

/// The name is taken. That is a success only if this very request created the secret, so the token is checked first.
fn repeated(cx: &Context<'_>, found: &Found, token: &str, content: Option<&Content>) -> Result<(), Refusal> {
    let secret = cx.secret(found)?;
    if secret.deletion.is_some() {
        return Err(Refusal::invalid_request(
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        ));
    }
    match secret.version(token) {
        Some(version) if version.content.as_ref() == content => Ok(()),
        Some(_) => Err(Refusal::token_in_use(token, &secret.arn())),
        None => Err(Refusal::new(
            "ResourceExistsException",
            format!("The operation failed because the secret {} already exists.", secret.name),
        )),
    }
}

fn answer(cx: &Context<'_>, key: &Key, version: Option<&str>) -> Answer {
    let secret = cx.state.secret(key)?;
    let mut answer = json!({"ARN": secret.arn(), "Name": secret.name});
    if let Some(version) = version {
        answer["VersionId"] = json!(version);
    }
    if !secret.replicas.is_empty() {
        answer["ReplicationStatus"] = replicate::status(secret);
    }
    Ok(answer)
}
