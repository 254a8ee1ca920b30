//! AWS Signature Version 4: the caller and the Region of a request, and whether its signature is right.
//!
//! It follows "Create a signed AWS API request" in the IAM user guide. Refusals use the service's words.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{constant_time, digest, hmac};
use http::HeaderMap;
use http::request::Parts;

use super::caller::Account;
use super::refusal::Refusal;

/// The parsed `Authorization` header.
pub(crate) struct Authorization<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
    date: &'a str,
    service: &'a str,
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Requests are valid for five minutes either way.
const SKEW: i64 = 300;

impl<'a> Authorization<'a> {
    /// `None` for a request without a signature.
    pub(crate) fn of(headers: &'a HeaderMap) -> Result<Option<Self>, Refusal> {
        let Some(header) = headers.get("authorization") else { return Ok(None) };
        let incomplete = || {
            let text = "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.";
            Refusal::new("IncompleteSignatureException", text)
        };
        let header = header.to_str().map_err(|_| incomplete())?;
        let fields = header.strip_prefix(ALGORITHM).ok_or_else(incomplete)?;
        let field = |name: &str| {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            fields.find(|(known, _)| *known == name).map(|(_, value)| value).ok_or_else(incomplete)
        };
        let (access_key, scope) = field("Credential")?.split_once('/').ok_or_else(incomplete)?;
        let [date, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
            return Err(incomplete());
        };
        let (signed_headers, signature) = (field("SignedHeaders")?, field("Signature")?);
        Ok(Some(Self { access_key, region, date, service, scope, signed_headers, signature }))
    }

    /// Checks that the account's secret key has signed the request, for this service, now.
    pub(crate) fn verify(&self, head: &Parts, body: &[u8], account: &Account) -> Result<(), Refusal> {
        if self.service != "secretsmanager" {
            return Err(invalid("Credential should be scoped to correct service: 'secretsmanager'."));
        }
        let time = head.headers.get("x-amz-date").and_then(|time| time.to_str().ok()).unwrap_or_default();
        if time.get(..8) != Some(self.date) {
            return Err(invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.",
            ));
        }
        check_time(time)?;
        let request = self.canonical_request(head, body);
        let to_sign = format!("{ALGORITHM}\n{time}\n{}\n{}", self.scope, sha256(request.as_bytes()));
        let key = [self.date, self.region, self.service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{}", account.secret_key).into_bytes(), |key, part| mac(&key, part));
        let expected = hex(&mac(&key, &to_sign));
        constant_time::verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes()).map_err(|_| {
            invalid("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
        })
    }

    fn canonical_request(&self, head: &Parts, body: &[u8]) -> String {
        let value = |name: &str| {
            let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let values = values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "));
            values.collect::<Vec<_>>().join(",")
        };
        let headers: String =
            self.signed_headers.split(';').map(|name| format!("{name}:{}\n", value(name))).collect();
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let (method, signed, body) = (&head.method, self.signed_headers, sha256(body));
        format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{body}")
    }
}

pub(crate) fn missing() -> Refusal {
    Refusal::new("MissingAuthenticationTokenException", "Missing Authentication Token")
}

pub(crate) fn unknown_key() -> Refusal {
    Refusal::new("UnrecognizedClientException", "The security token included in the request is invalid.")
}

fn invalid(text: &str) -> Refusal {
    Refusal::new("InvalidSignatureException", text)
}

/// Clients sign with their own clocks, so the check uses the machine's clock and not the lab's.
fn check_time(time: &str) -> Result<(), Refusal> {
    let seconds = seconds(time).ok_or_else(|| invalid("X-Amz-Date must be in ISO-8601 'basic format'."))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ahead = seconds - i64::try_from(now).unwrap_or(i64::MAX);
    if ahead < -SKEW {
        return Err(invalid(&format!("Signature expired: {time} is more than 5 min. ago.")));
    }
    if ahead > SKEW {
        return Err(invalid(&format!("Signature not yet current: {time} is more than 5 min. ahead.")));
    }
    Ok(())
}

/// Seconds since 1970 of `YYYYMMDDTHHMMSSZ`.
fn seconds(time: &str) -> Option<i64> {
    if !time.is_ascii() || time.len() != 16 || time.get(8..9) != Some("T") || !time.ends_with('Z') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    // Days since 1970-03-01 in years that begin in March, so that leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 719_469;
    Some(days * 86_400 + number(9..11)? * 3600 + number(11..13)? * 60 + number(13..15)?)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_counted_from_1970() {
        for (time, expected) in [
            ("19700101T000000Z", Some(0)),
            ("20000229T235959Z", Some(951_868_799)),
            ("20261120T181500Z", Some(1_795_198_500)),
            ("2026-11-20T18:15Z", None),
        ] {
            assert_eq!(seconds(time), expected, "{time}");
        }
    }
}
