//! RotateSecret and CancelRotateSecret: their immediate changes. The [`Driver`](crate::secrets::service::Driver) drives the
//! function.

use serde_json::json;

use super::context::{Answer, Begun, Context};
use super::put::required_token;
use crate::secrets::input::Input;
use crate::secrets::refusal::Refusal;
use crate::secrets::rules::Rules;
use crate::secrets::secret::{CURRENT, PENDING, Secret};
use crate::secrets::settings::{Settings, UnderWay};
use crate::secrets::state::Key;
use crate::uuid::new_uuid;

pub(super) fn rotate_secret(cx: &mut Context<'_>, input: &Input) -> Answer {
    let token = required_token(input, "InvalidParameterException")?;
    let function = input.text("RotationLambdaARN", 0, 2048)?.filter(|arn| !arn.is_empty());
    let rules = input.structure("RotationRules")?.map(|rules| Rules::parse(&rules)).transpose()?;
    let immediately = input.flag("RotateImmediately")?.unwrap_or(true);
    let found = cx.find_primary(input, "RotateSecret")?;
    let secret = cx.secret(&found)?;
    let known = secret.rotation.clone().unwrap_or_default();
    let function = function.map(ToOwned::to_owned).or(known.function).ok_or_else(|| {
        Refusal::invalid_request("No Lambda rotation function ARN is associated with this secret.")
    })?;
    let answer = json!({"ARN": secret.arn(), "Name": secret.name, "VersionId": token});
    // A repetition of the request that began the rotation is no new request, even if the rotation has finished.
    if secret.version(token).is_some_and(|v| v.labels.contains(PENDING) || v.labels.contains(CURRENT)) {
        return Ok(answer);
    }
    if secret.version(token).is_some() {
        return Err(Refusal::token_in_use(token, &secret.arn()));
    }
    refuse_incomplete(secret)?;
    if !(cx.invokable)(&function) {
        return Err(Refusal::new(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.",
        ));
    }
    let now = cx.now;
    let secret = cx.modify(&found.key)?;
    let settings = secret.rotation.get_or_insert_default();
    settings.function = Some(function);
    settings.enabled = true;
    // Without rules in the call, the rules stay unchanged.
    settings.rules = rules.unwrap_or(known.rules);
    settings.next = settings.rules.window(settings.last, now);
    begin(cx, &found.key, token, immediately)?;
    Ok(answer)
}

/// "any later invocation of RotateSecret assumes that a previous rotation request is still in progress" (RotateSecret)
pub(crate) fn refuse_incomplete(secret: &Secret) -> Result<(), Refusal> {
    if secret.rotation_incomplete() {
        let text = "A previous rotation isn't complete. That rotation will be reattempted.";
        return Err(Refusal::invalid_request(text));
    }
    Ok(())
}

/// Makes the version for the function to fill, or a copy for testSecret alone.
pub(crate) fn begin(cx: &mut Context<'_>, key: &Key, token: &str, immediately: bool) -> Result<(), Refusal> {
    let now = cx.now;
    let secret = cx.modify(key)?;
    // A test uses a copy of the current value. A rotation begins with an empty version.
    let content = if immediately { None } else { secret.labelled(CURRENT).and_then(|v| v.content.clone()) };
    secret.add_version(token, content, now);
    secret.attach(PENDING, token);
    let settings: &mut Settings = secret.rotation.get_or_insert_default();
    settings.under_way =
        Some(UnderWay { token: token.into(), rotation_token: new_uuid(), immediately, given_up: false });
    cx.begun = Some(Begun { key: key.clone(), token: token.into() });
    Ok(())
}

pub(super) fn cancel_rotate_secret(cx: &mut Context<'_>, input: &Input) -> Answer {
    let found = cx.find_primary(input, "CancelRotateSecret")?;
    let secret = cx.modify(&found.key)?;
    let pending = secret.id_of(PENDING);
    // RotationEnabled stays absent for a secret that never rotated.
    if let Some(settings) = &mut secret.rotation {
        settings.enabled = false;
        settings.next = None;
        // The running drive notices this and stops. The label stays.
        settings.under_way = None;
    }
    let mut answer = json!({"ARN": secret.arn(), "Name": secret.name});
    if let Some(pending) = pending {
        answer["VersionId"] = json!(pending);
    }
    Ok(answer)
}
