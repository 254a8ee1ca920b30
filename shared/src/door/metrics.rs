//! Writes metrics as log lines in CloudWatch's embedded metric format. CloudWatch turns the lines into metrics, so no call is needed
//! (CloudWatch user guide, "Embedded metric format specification").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::error::Kind;

/// The namespace that the alarms in template.yaml watch.
const NAMESPACE: &str = "Turnlock";

/// The duration of a step, whether it succeeded or failed.
pub fn step_duration(step: &str, took: Duration) {
    emit("StepDuration", "Milliseconds", millis(took), &[("Step", step)]);
}

/// AWSCURRENT has moved.
pub fn rotated() {
    emit("RotationSucceeded", "Count", 1.0, &[]);
}

/// A step failed.
pub fn failed(kind: Kind) {
    emit("RotationFailed", "Count", 1.0, &[("Kind", kind.name())]);
}

/// The time for which clients were refused.
pub fn downtime(gap: Duration) {
    tracing::info!(
        downtime_ms = gap.as_millis() as u64,
        "from the new password on the server to its promotion"
    );
    emit("DowntimeMilliseconds", "Milliseconds", millis(gap), &[]);
}

/// The age of the password that this rotation replaces.
pub fn password_age(created: Option<SystemTime>) {
    if let Some(age) = created.and_then(|created| created.elapsed().ok()) {
        emit("PasswordAgeDays", "None", age.as_secs_f64() / 86_400.0, &[]);
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Writes one metric: by target, and by target and the given dimensions, if any.
fn emit(name: &str, unit: &str, value: f64, dimensions: &[(&str, &str)]) {
    let target = crate::door::log::noted("target").unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut keys = vec![json!(["Target"])];
    if !dimensions.is_empty() {
        let more = dimensions.iter().map(|(key, _)| Value::from(*key));
        keys.push(std::iter::once(Value::from("Target")).chain(more).collect());
    }
    let mut line = json!({
        "_aws": {
            "Timestamp": now.as_millis() as u64,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": keys, "Metrics": [{"Name": name, "Unit": unit}]}],
        },
        "Target": target,
        name: value,
    });
    for (key, dimension) in dimensions {
        line[*key] = (*dimension).into();
    }
    for field in ["secret", "version", "strategy"] {
        if let Some(value) = crate::door::log::noted(field) {
            line[field] = value.into();
        }
    }
    crate::door::log::line(&line);
}
