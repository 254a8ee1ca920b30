//! Parses the event that Secrets Manager sends. No other file sees JSON from the caller.

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// One of the four steps of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make a new credential and store it as AWSPENDING.
    CreateSecret,
    /// Make the server accept the new credential.
    SetSecret,
    /// Log in with the new credential.
    TestSecret,
    /// Move AWSCURRENT to the new credential.
    FinishSecret,
}

impl Step {
    /// The step's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Step::CreateSecret => "createSecret",
            Step::SetSecret => "setSecret",
            Step::TestSecret => "testSecret",
            Step::FinishSecret => "finishSecret",
        }
    }

    /// Reads both spellings: AWS's guide writes the steps with underscores, the service without.
    fn parse(name: &str) -> Option<Step> {
        Some(match name {
            "createSecret" | "create_secret" => Step::CreateSecret,
            "setSecret" | "set_secret" => Step::SetSecret,
            "testSecret" | "test_secret" => Step::TestSecret,
            "finishSecret" | "finish_secret" => Step::FinishSecret,
            _ => return None,
        })
    }
}

/// What an event asks of the function.
pub enum Event {
    /// A step of a rotation.
    Rotate(Request),
    /// Check the secret and report, without changing anything (`diagnose.rs`).
    Diagnose(Examination),
    /// Say whether this provider file can be used. Touches no secret and makes no call.
    Inspect(String),
}

/// One step, for one secret and one version of it.
pub struct Request {
    /// The secret, as an ARN or a name.
    pub secret: String,
    /// The version that this rotation fills; also the idempotency token of every call for it.
    pub token: String,
    /// The step, or the unknown name that the event has. As in AWS's functions, the gate speaks before an unknown step is refused.
    pub step: Result<Step, String>,
    /// The token that PutSecretValue needs if the rotation runs under another account's role. It authorises calls, so it is a secret.
    pub rotation_token: Option<Secret>,
}

/// A request to look at a secret from where the function runs.
pub struct Examination {
    /// The secret, as an ARN or a name.
    pub secret: String,
    /// The requested checks; empty means all.
    pub checks: Vec<String>,
    /// Whether to try versions without AWSCURRENT and AWSPENDING too.
    pub every_version: bool,
}

/// Reads an event.
pub fn parse(event: &Value) -> Result<Event> {
    let Value::Object(_) = event else {
        return Err(Error::new(Kind::BadEvent, "the event is not a JSON object"));
    };
    let diagnose = event.get("Step").and_then(Value::as_str) == Some("diagnose");
    match event.get("Provider") {
        None | Some(Value::Null) => {}
        Some(Value::String(provider)) if diagnose => return Ok(Event::Inspect(provider.clone())),
        Some(_) if diagnose => {
            return Err(Error::new(
                Kind::BadEvent,
                "the event's Provider is not the text of a provider file",
            ));
        }
        Some(_) => {}
    }
    let secret = text(event, "SecretId")?;
    if diagnose {
        let every_version = every_version(event)?;
        return Ok(Event::Diagnose(Examination { secret, checks: checks(event)?, every_version }));
    }
    let token = text(event, "ClientRequestToken")?;
    let name = text(event, "Step")?;
    let rotation_token = match event.get("RotationToken") {
        None | Some(Value::Null) => None,
        Some(_) => Some(Secret::new(text(event, "RotationToken")?)),
    };
    Ok(Event::Rotate(Request { secret, token, step: Step::parse(&name).ok_or(name), rotation_token }))
}

/// Reads a required field. It must be printable ASCII and not empty, so that it cannot forge a log line.
fn text(event: &Value, field: &str) -> Result<String> {
    let bad = |what: &str| Error::new(Kind::BadEvent, format!("the event's {field} {what}"));
    let value = event.get(field).ok_or_else(|| bad("is missing"))?;
    let text = value.as_str().ok_or_else(|| bad("is not a string"))?;
    if text.is_empty() {
        return Err(bad("is empty"));
    }
    if !text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err(bad("has characters other than printable ASCII"));
    }
    Ok(text.to_owned())
}

fn checks(event: &Value) -> Result<Vec<String>> {
    let bad = || Error::new(Kind::BadEvent, "the event's Checks is not a list of names");
    match event.get("Checks") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(names)) => {
            names.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(bad)).collect()
        }
        Some(_) => Err(bad()),
    }
}

fn every_version(event: &Value) -> Result<bool> {
    match event.get("AllVersions") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(wanted)) => Ok(*wanted),
        Some(_) => Err(Error::new(Kind::BadEvent, "the event's AllVersions is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(event: Value, expected: &str) {
        let Err(error) = parse(&event) else { panic!("accepted: {event}") };
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::BadEvent, expected));
    }

    #[test]
    fn events_of_the_service_are_understood() {
        for (name, step) in [("createSecret", Step::CreateSecret), ("finish_secret", Step::FinishSecret)] {
            let event = json!({"SecretId": "s", "ClientRequestToken": "t", "Step": name, "RotationToken": "r", "Else": 1});
            let Ok(Event::Rotate(request)) = parse(&event) else { panic!("refused") };
            assert_eq!((request.secret.as_str(), request.token.as_str(), request.step), ("s", "t", Ok(step)));
            assert!(request.rotation_token.is_some());
        }
    }

    #[test]
    fn an_unknown_step_is_kept_until_the_gate_has_spoken() {
        let event = json!({"SecretId": "s", "ClientRequestToken": "t", "Step": "dropSecret"});
        let Ok(Event::Rotate(request)) = parse(&event) else { panic!("refused") };
        assert_eq!(request.step, Err("dropSecret".to_owned()));
    }

    #[test]
    fn anything_else_is_refused_with_the_field_named() {
        let good = json!({"SecretId": "s", "ClientRequestToken": "t", "Step": "setSecret"});
        refused(json!([]), "the event is not a JSON object");
        for field in ["SecretId", "ClientRequestToken", "Step"] {
            let with = |value: Value| {
                let mut event = good.clone();
                event[field] = value;
                event
            };
            let mut without = good.clone();
            without.as_object_mut().unwrap().remove(field);
            refused(without, &format!("the event's {field} is missing"));
            refused(with(json!(7)), &format!("the event's {field} is not a string"));
            refused(with(json!("")), &format!("the event's {field} is empty"));
            for text in ["a\nb", "a\u{7f}", "ä"] {
                refused(
                    with(json!(text)),
                    &format!("the event's {field} has characters other than printable ASCII"),
                );
            }
        }
        let mut event = good;
        event["RotationToken"] = json!("");
        refused(event, "the event's RotationToken is empty");
    }

    #[test]
    fn a_provider_file_is_inspected_without_a_secret() {
        let Ok(Event::Inspect(file)) = parse(&json!({"Step": "diagnose", "Provider": "name = \"x\"\n"}))
        else {
            panic!("refused")
        };
        assert_eq!(file, "name = \"x\"\n");
        refused(
            json!({"Step": "diagnose", "Provider": 7}),
            "the event's Provider is not the text of a provider file",
        );
        refused(json!({"Step": "setSecret", "Provider": "x"}), "the event's SecretId is missing");
    }

    #[test]
    fn a_diagnose_event_needs_no_token() {
        let Ok(Event::Diagnose(examination)) =
            parse(&json!({"Step": "diagnose", "SecretId": "s", "Checks": ["login"]}))
        else {
            panic!("refused")
        };
        assert_eq!((examination.secret.as_str(), examination.checks), ("s", vec!["login".to_owned()]));
        assert!(!examination.every_version);
        let every = json!({"Step": "diagnose", "SecretId": "s", "AllVersions": true});
        let Ok(Event::Diagnose(examination)) = parse(&every) else { panic!("refused") };
        assert!(examination.every_version);
        refused(
            json!({"Step": "diagnose", "SecretId": "s", "AllVersions": "yes"}),
            "the event's AllVersions is neither true nor false",
        );
        refused(
            json!({"Step": "diagnose", "SecretId": "s", "Checks": "login"}),
            "the event's Checks is not a list of names",
        );
    }
}
