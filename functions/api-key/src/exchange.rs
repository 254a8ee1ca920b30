//! A call with all its tries, and the meaning of its answer. Messages quote only an answer's status and a short reason, because
//! services echo what they were sent.

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use http_body_util::Full;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::said::Said;
use serde_json::Value;

use crate::connect::{self, Failure, Raw};
use crate::provider::Provider;
use crate::provider::pointer::Pointer;
use crate::provider::schema::{Call, Origin};

/// How often a call is tried. With the pauses below, the tries cover about ten seconds of trouble.
const TRIES: u32 = 6;
/// The first pause. Each pause is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(300);
/// The time that must be left of the invocation for another try.
const LEAST: Duration = Duration::from_secs(2);
/// How many characters of a reason are shown.
const REASON: usize = 200;

/// What an answer means.
pub(crate) enum Meaning {
    /// Yes.
    Yes(Answer),
    /// The service refuses the credential; the text says how.
    Rejected(String),
}

/// A successful answer.
pub(crate) struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    body: Bytes,
    place: String,
}

impl Answer {
    fn new(raw: Raw, place: &str) -> Answer {
        Answer { headers: raw.headers, body: raw.body, place: place.to_owned() }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).map_err(|_| {
            // The parser's own message could quote the body.
            misunderstood(&self.place, "the answer is not JSON")
        })
    }

    /// The time by the service's clock.
    pub(crate) fn date(&self) -> Option<SystemTime> {
        let text = self.headers.get(DATE)?.to_str().ok()?;
        SystemTime::try_from(DateTime::from_str(text, Format::HttpDate).ok()?).ok()
    }

    /// The error for an answer that lacks something or has the wrong type in its place.
    pub(crate) fn misunderstood(&self, what: &str) -> Error {
        misunderstood(&self.place, what)
    }
}

fn misunderstood(place: &str, what: &str) -> Error {
    Error::new(Kind::ServerRefused, format!("{place} answers, but not as the provider file says: {what}"))
        .remedy("compare the provider file with the service's documentation")
}

/// What the caller does with one answer.
enum Verdict {
    Means(Meaning),
    /// The service did nothing. Try again, after this time if it is given.
    Later(Option<Duration>, u16),
    /// Nobody knows what the service did.
    Broken(Option<Duration>, u16),
}

/// Sends a call until an answer means something, within the deadline. `request` makes the request anew for each try.
pub(crate) async fn exchange(
    job: &Job<'_>,
    provider: &Provider,
    kind: &str,
    call: &Call,
    origin: &Origin,
    request: impl Fn() -> Result<http::Request<Full<Bytes>>>,
) -> Result<Meaning> {
    let place = origin.authority();
    let unknown = |error| unknown(error, provider, kind, call);
    let mut pause = PAUSE;
    for attempt in 1.. {
        let (error, wait, again) = match connect::send(job, origin, request()?).await {
            Err(Failure::NotSent(error)) => return Err(error),
            Err(Failure::Lost(error)) => (unknown(error), None, call.repeatable()),
            Ok(raw) => match judge(job, kind, call, &place, raw)? {
                Verdict::Means(meaning) => return Ok(meaning),
                Verdict::Later(wait, status) => (busy(&place, kind, status), wait, true),
                Verdict::Broken(wait, status) => {
                    let what = format!("{place} failed at [call.{kind}] with HTTP {status}");
                    (unknown(Error::new(Kind::Unreachable, what)), wait, call.repeatable())
                }
            },
        };
        let wait = wait.unwrap_or(pause);
        if !again || attempt == TRIES || wait.saturating_add(LEAST) > job.deadline.left() {
            return Err(error);
        }
        tracing::info!(
            call = kind,
            reason = error.to_string(),
            wait_ms = wait.as_millis() as u64,
            "trying again"
        );
        tokio::time::sleep(wait).await;
        pause *= 2;
    }
    unreachable!("the last try returns")
}

fn busy(place: &str, kind: &str, status: u16) -> Error {
    let what = format!("{place} asks to slow down (HTTP {status} at [call.{kind}])");
    Error::new(Kind::Throttled, what)
        .remedy("Secrets Manager tries again by itself; spread rotation schedules if this repeats")
}

/// The error for an unknown outcome. If the call may not be repeated, the remedy says who cleans up.
fn unknown(error: Error, provider: &Provider, kind: &str, call: &Call) -> Error {
    if call.repeatable() {
        return error.remedy("the service fails or does not answer; Secrets Manager tries again by itself");
    }
    let left = match (kind, provider.sweeps()) {
        ("issue", true) => ", and finds and revokes what this one may have left",
        ("issue", false) => {
            "; this try may have left a key that no later try finds: look for it at the service"
        }
        _ => "",
    };
    error.remedy(format!(
        "it is not known whether [call.{kind}] was carried out; the rotation goes on with another try{left}"
    ))
}

fn judge(job: &Job<'_>, kind: &str, call: &Call, place: &str, raw: Raw) -> Result<Verdict> {
    let status = raw.status.as_u16();
    let is = |statuses: &Option<Vec<u16>>, default: &[u16]| {
        statuses.as_deref().unwrap_or(default).contains(&status)
    };
    let wait = retry_after(&raw.headers);
    let yes = call.success.as_ref().map_or(raw.status.is_success(), |statuses| statuses.contains(&status));
    if yes {
        return affirmed(job, kind, call, place, raw).map(Verdict::Means);
    }
    if kind == "revoke" && is(&call.gone, &[404, 410]) {
        tracing::info!("the key was gone already");
        return Ok(Verdict::Means(Meaning::Yes(Answer::new(raw, place))));
    }
    if is(&call.rejected, &[401]) {
        return Ok(Verdict::Means(Meaning::Rejected(format!("HTTP {status}"))));
    }
    if status == 429 || call.later.contains(&status) {
        return Ok(Verdict::Later(wait, status));
    }
    if raw.status.is_server_error() {
        return Ok(Verdict::Broken(wait, status));
    }
    let what = format!("{place} refused [call.{kind}] with HTTP {status}");
    let error = Error::new(Kind::ServerRefused, what);
    Err(match status {
        300..=399 => error.cause("redirects are not followed").remedy(
            "give the provider file the URL that the service redirects to, if it is the service's own",
        ),
        _ => match reason(job, call, &raw.body) {
            Some(reason) => error.cause(reason),
            None => error,
        }
        .remedy(match status {
            403 => {
                "the key that authorises this call lacks a permission, or a quota is used up: see the provider's page"
            }
            404 => "check the secret's fields that stand in the URL, and the provider file",
            _ => "compare the secret's fields and the provider file with the service's documentation",
        }),
    })
}

/// Reads an answer whose status means success. Its body can still mean failure.
fn affirmed(job: &Job<'_>, kind: &str, call: &Call, place: &str, raw: Raw) -> Result<Meaning> {
    let answer = Answer::new(raw, place);
    if call.failure.is_empty() && call.expect.is_empty() && call.gone_if.is_empty() {
        return Ok(Meaning::Yes(answer));
    }
    let json = answer.json()?;
    let says = |(pointer, value): (&Pointer, &Value)| pointer.find(&json) == Some(value);
    if !call.gone_if.is_empty() && call.gone_if.iter().all(says) {
        tracing::info!("the key was gone already");
        return Ok(Meaning::Yes(answer));
    }
    let mut failures = call.failure.iter().filter_map(|failure| failure.find(&json));
    if failures.any(|found| found.as_array().is_none_or(|list| !list.is_empty())) {
        let what = format!("{place} refused [call.{kind}] in its answer");
        let error = Error::new(Kind::ServerRefused, what);
        return Err(match reason(job, call, &answer.body) {
            Some(reason) => error.cause(reason),
            None => error,
        });
    }
    for (pointer, expected) in &call.expect {
        if pointer.find(&json) != Some(expected) {
            return Ok(Meaning::Rejected(format!("an answer in which {pointer} is not {expected}")));
        }
    }
    Ok(Meaning::Yes(answer))
}

/// The service's own reason, if the file says where it is. It is cut short, and loses control characters and every word long
/// enough to be a key.
fn reason(job: &Job<'_>, call: &Call, body: &[u8]) -> Option<Said> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let text = call.reason.iter().find_map(|reason| reason.text(&json).ok()?)?;
    let text = job.scrub.hide(&text);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = words.map(|word| if word.len() > 24 { "[hidden]" } else { word });
    let text = words.collect::<Vec<_>>().join(" ");
    Some(Said::new(&text.chars().take(REASON).collect::<String>()))
}

/// How long the service asks to wait: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = SystemTime::try_from(DateTime::from_str(text, Format::HttpDate).ok()?).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_in_both_forms_and_nonsense_is_none() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        // No wait is that long. Code that adds to it must not overflow.
        assert_eq!(wait("18446744073709551615"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        for text in ["soon", "-1", "", "99999999999999999999999"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
