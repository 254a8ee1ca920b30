//! PutSecretValue and UpdateSecret, and the rules for a version's content.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::context::{Answer, Context};
use crate::secrets::input::{Input, check_length};
use crate::secrets::moment::Moment;
use crate::secrets::refusal::Refusal;
use crate::secrets::secret::{CURRENT, Content, PENDING, Secret};
use crate::secrets::state::Key;

/// "The encrypted secret value ... 65,536 bytes" (quotas).
pub(crate) const MOST_BYTES: usize = 65_536;

pub(super) fn put_secret_value(cx: &mut Context<'_>, input: &Input) -> Answer {
    let token = required_token(input, "InvalidRequestException")?;
    let content = content(input)?
        .ok_or_else(|| Refusal::invalid_request("You must provide either SecretString or SecretBinary."))?;
    let labels = input.texts("VersionStages", 1, 20)?;
    for label in labels.iter().flatten() {
        check_length("VersionStages", label.len(), 1, 256)?;
    }
    let rotation_token = rotation_token(input)?;
    let found = cx.find_primary(input, "PutSecretValue")?;
    check_rotation_token(cx, &found.key, token, rotation_token)?;
    let labels = labels.unwrap_or_else(|| vec![CURRENT]);
    fill(cx, &found.key, token, content, &labels)?;
    let secret = cx.secret(&found)?;
    let labels = secret.version(token).map(|version| &version.labels);
    let mut answer = json!({"ARN": secret.arn(), "Name": secret.name, "VersionId": token});
    if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
        answer["VersionStages"] = json!(labels);
    }
    Ok(answer)
}

pub(super) fn update_secret(cx: &mut Context<'_>, input: &Input) -> Answer {
    let token = required_token(input, "InvalidRequestException")?;
    let content = content(input)?;
    let description = input.text("Description", 0, 2048)?;
    let kms_key = input.text("KmsKeyId", 0, 2048)?;
    let kind = input.text("Type", 0, 256)?;
    let found = cx.find_primary(input, "UpdateSecret")?;
    if let Some(content) = &content {
        check_token(cx, &found.key, token, content)?;
    }
    let secret = cx.modify(&found.key)?;
    if let Some(description) = description {
        secret.description = Some(description.into());
    }
    if let Some(kms_key) = kms_key {
        secret.kms_key = Some(kms_key.to_owned()).filter(|key| !key.is_empty());
    }
    if let Some(kind) = kind {
        secret.kind = Some(kind.into());
    }
    let mut answer = json!({"ARN": secret.arn(), "Name": secret.name});
    if let Some(content) = content {
        fill(cx, &found.key, token, content, &[CURRENT])?;
        answer["VersionId"] = json!(token);
    }
    Ok(answer)
}

/// The token that names the new version. SDKs make one up; a raw request has to have one.
pub(super) fn required_token<'a>(input: &'a Input, kind: &str) -> Result<&'a str, Refusal> {
    let text = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    input.text("ClientRequestToken", 32, 64)?.ok_or_else(|| Refusal::new(kind, text))
}

/// The content that a request wants to store, if any.
pub(super) fn content(input: &Input) -> Result<Option<Content>, Refusal> {
    let text = input.text("SecretString", 1, MOST_BYTES)?;
    check_length("SecretString", text.map_or(1, str::len), 1, MOST_BYTES)?;
    // 65,536 bytes are 87,384 letters of base64.
    let binary = input.text("SecretBinary", 0, MOST_BYTES.div_ceil(3) * 4)?;
    match (text, binary) {
        (Some(_), Some(_)) => Err(Refusal::invalid_parameter(
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )),
        (Some(text), None) => Ok(Some(Content::Text(text.into()))),
        (None, Some(binary)) => {
            let bytes = STANDARD.decode(binary).map_err(|_| {
                Refusal::new("SerializationException", "SecretBinary must be base64-encoded.")
            })?;
            check_length("SecretBinary", bytes.len(), 1, MOST_BYTES)?;
            Ok(Some(Content::Binary(bytes)))
        }
        (None, None) => Ok(None),
    }
}

/// The same token with the same content is a repetition. With other content it is refused.
fn check_token(cx: &Context<'_>, key: &Key, token: &str, content: &Content) -> Result<(), Refusal> {
    let secret = cx.state.secret(key)?;
    match secret.version(token).and_then(|version| version.content.as_ref()) {
        Some(stored) if stored != content => Err(Refusal::token_in_use(token, &secret.arn())),
        _ => Ok(()),
    }
}

/// Gives the version `token` its content and labels, unless it already has that content.
pub(super) fn fill(
    cx: &mut Context<'_>,
    key: &Key,
    token: &str,
    content: Content,
    labels: &[&str],
) -> Result<(), Refusal> {
    check_token(cx, key, token, &content)?;
    let secret = cx.state.secret(key)?;
    let version = secret.version(token);
    if version.is_some_and(|version| version.content.is_some()) {
        return Ok(());
    }
    let mut labels = labels.to_vec();
    // "If this operation creates the first version for the secret, then Secrets Manager automatically attaches the
    // staging label AWSCURRENT to it" (PutSecretValue).
    if secret.versions.is_empty() && !labels.contains(&CURRENT) {
        labels.push(CURRENT);
    }
    secret.check_room(token, &labels)?;
    let exists = version.is_some();
    let now = cx.now;
    let secret = cx.modify(key)?;
    if !exists {
        secret.add_version(token, None, now);
    }
    let by_hand = labels.contains(&CURRENT) && secret.id_of(PENDING).as_deref() != Some(token);
    if by_hand {
        abandon_rotation(secret, now);
    }
    for label in labels {
        secret.attach(label, token);
    }
    if let Some(version) = secret.version_mut(token) {
        version.content = Some(content);
    }
    Ok(())
}

/// A new current version that was put by hand ends the running rotation: "Secrets Manager removes the AWSPENDING label to allow
/// future rotations to succeed" (CloudTrail entries, RotationAbandoned). This is recorded for a leftover AWSPENDING, too.
fn abandon_rotation(secret: &mut Secret, now: Moment) {
    secret.detach(PENDING);
    if let Some(settings) = &mut secret.rotation {
        settings.under_way = None;
        // "Manually updating the secret value ... is considered a valid rotation" (RotationRulesType).
        if settings.rules.counts_from_last() {
            settings.next = settings.rules.window(Some(now), now).filter(|_| settings.enabled);
        }
    }
}

fn rotation_token(input: &Input) -> Result<Option<&str>, Refusal> {
    let token = input.text("RotationToken", 36, 256)?;
    if token.is_some_and(|token| !token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')) {
        let text = "Member must satisfy regular expression pattern: ^[a-zA-Z0-9\\-]+$";
        return Err(Refusal::constraint("RotationToken", text));
    }
    Ok(token)
}

/// "Secrets Manager validates the identity using the token" (PutSecretValue), so another rotation's token is refused. The
/// service's words for that are not recorded.
fn check_rotation_token(
    cx: &Context<'_>,
    key: &Key,
    token: &str,
    given: Option<&str>,
) -> Result<(), Refusal> {
    let Some(given) = given else { return Ok(()) };
    let rotation = cx.state.secret(key)?.rotation.as_ref().and_then(|settings| settings.under_way.as_ref());
    match rotation {
        Some(rotation) if rotation.token == token && rotation.rotation_token == given => Ok(()),
        _ => Err(Refusal::new(
            "AccessDeniedException",
            "The RotationToken is not valid for this secret version.",
        )),
    }
}
