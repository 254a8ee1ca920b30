//! Secrets Manager in Regions where something is odd. The lab answers, and the Region's name says what is wrong with the answer:
//!
//! - `ahead-1`: its clock is two minutes ahead; `ahead-2`: an hour, so that it refuses signatures; `timeless-1`: its answers have no date;
//! - `late-1`: every rotation was due long ago; `managed-1`: the secrets are another service's;
//! - `page-1`: a web page answers instead.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::HeaderMap;
use lab::secrets::Secrets;
use serde_json::{Value, json};

/// The time by the Region's clock; `None` if its answers have no date.
pub(crate) fn date(region: &str) -> Option<DateTime> {
    let now = DateTime::from(std::time::SystemTime::now()).secs();
    match region {
        "timeless-1" => None,
        "ahead-1" => Some(DateTime::from_secs(now + 120)),
        "ahead-2" => Some(DateTime::from_secs(now + 3600)),
        _ => Some(DateTime::from_secs(now)),
    }
}

/// Status and body.
pub(crate) fn answer(region: &str, secrets: &Secrets, headers: &HeaderMap, body: &[u8]) -> (u16, String) {
    if region == "page-1" {
        return (200, "<html>Please log in to this network.</html>".to_owned());
    }
    let word = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if let Some(refused) = expired(word("x-amz-date"), date(region)) {
        let body = json!({"__type": "InvalidSignatureException", "message": refused});
        return (400, body.to_string());
    }
    let operation = word("x-amz-target").rsplit('.').next().unwrap_or_default();
    let request = serde_json::from_slice(body).expect("the request is JSON");
    match secrets.call(operation, request) {
        Ok(told) => (200, tell(region, told).to_string()),
        Err(refusal) => {
            (refusal.status, json!({"__type": refusal.kind, "Message": refusal.message}).to_string())
        }
    }
}

/// Whether the clock accepts a request. A signature is valid for five minutes either way.
fn expired(signed: &str, now: Option<DateTime>) -> Option<String> {
    let at = |range: std::ops::Range<usize>| &signed[range];
    let [year, month, day, hour, minute] = [at(0..4), at(4..6), at(6..8), at(9..11), at(11..13)];
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{}Z", at(13..15));
    let then = DateTime::from_str(&text, Format::DateTime).expect("x-amz-date is a moment").secs();
    let off = now?.secs().abs_diff(then) > 300;
    off.then(|| format!("Signature expired: {signed} is more than 5 min. ago."))
}

fn tell(region: &str, mut told: Value) -> Value {
    let odd = match region {
        "late-1" => ("NextRotationDate", json!(1_600_000_000)),
        "managed-1" => ("OwningService", json!("rds")),
        _ => return told,
    };
    match told["SecretList"].as_array_mut() {
        Some(secrets) => secrets.iter_mut().for_each(|secret| secret[odd.0] = odd.1.clone()),
        None => told[odd.0] = odd.1,
    }
    told
}
