//! Faults from a TOML file.

use std::time::Duration;

use serde::Deserialize;

use super::fault::{At, Fault, What};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fault: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    call: Option<u64>,
    operation: Option<String>,
    nth: Option<u64>,
    effect: Effect,
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<u16>,
    milliseconds: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Effect {
    FailBefore,
    FailAfter,
    DropBefore,
    DropAfter,
    Throttle,
    Delay,
}

/// Reads faults from TOML. Each is a `[[fault]]` of `call` (the n-th of all) or `operation` (each call of it, or the
/// `nth`) and an `effect`: `fail-before` or `fail-after` with `type` and `status`, `drop-before`, `drop-after`,
/// `throttle`, or `delay` by `milliseconds`.
///
/// ```
/// let faults = lab::secrets::faults_from_toml(r#"
///     [[fault]]
///     operation = "PutSecretValue"
///     nth = 1
///     effect = "fail-after"
///     type = "InternalServiceError"
///     status = 500
/// "#).expect("it is right");
/// assert_eq!(faults[0].at, lab::secrets::At::operation("PutSecretValue", 1));
/// ```
pub fn faults_from_toml(text: &str) -> Result<Vec<Fault>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let faults = file.fault.into_iter().enumerate();
    faults.map(|(at, entry)| fault(entry).map_err(|text| format!("fault {}: {text}", at + 1))).collect()
}

fn fault(entry: Entry) -> Result<Fault, String> {
    let at = match (entry.call, entry.operation, entry.nth) {
        (Some(call), None, None) => At::Call(call),
        (None, Some(operation), Some(nth)) => At::Operation(operation, nth),
        (None, Some(operation), None) => At::Every(operation),
        _ => return Err("give either call, or operation with or without nth".into()),
    };
    let fails = matches!(entry.effect, Effect::FailBefore | Effect::FailAfter);
    if !fails && (entry.kind.is_some() || entry.status.is_some()) {
        return Err("type and status belong to fail-before and fail-after".into());
    }
    if (entry.effect == Effect::Delay) != entry.milliseconds.is_some() {
        return Err("milliseconds belongs to delay, and delay needs it".into());
    }
    let kind = || entry.kind.clone().unwrap_or_else(|| "InternalServiceError".into());
    let status = entry.status.unwrap_or(500);
    let what = match entry.effect {
        Effect::FailBefore => What::FailBefore(kind(), status),
        Effect::FailAfter => What::FailAfter(kind(), status),
        Effect::DropBefore => What::DropBefore,
        Effect::DropAfter => What::DropAfter,
        Effect::Throttle => What::Throttle,
        Effect::Delay => What::Delay(Duration::from_millis(entry.milliseconds.unwrap_or_default())),
    };
    Ok(Fault { at, what })
}

#[cfg(test)]
mod tests {
    use super::faults_from_toml;

    #[test]
    fn a_malformed_fault_file_is_refused_with_the_line_and_the_reason() {
        for (text, expected) in [
            ("call = 1\nnth = 2\neffect = 'throttle'", "fault 1: give either call"),
            ("effect = 'throttle'", "fault 1: give either call"),
            ("call = 1\neffect = 'throttle'\nstatus = 500", "fault 1: type and status"),
            ("call = 1\neffect = 'delay'", "fault 1: milliseconds"),
            ("call = 1\neffect = 'explode'", "unknown variant"),
            ("call = 1\neffect = 'throttle'\nwhen = 'now'", "unknown field"),
        ] {
            let error = faults_from_toml(&format!("[[fault]]\n{text}")).err().expect("a refusal");
            assert!(error.contains(expected), "{error}");
        }
    }
}
