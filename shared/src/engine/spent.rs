//! Tokens for which this process must not send another password: the account may lock itself after some refusals, nobody can read after
//! how many, and two have been met.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::value::version::VersionId;

/// Retries of Secrets Manager follow soon. Later ones may find what a person has mended.
const KEPT: Duration = Duration::from_secs(5 * 60);

static SPENT: Mutex<Vec<(VersionId, Instant)>> = Mutex::new(Vec::new());

/// Two passwords have been refused for this token.
pub fn note(token: &VersionId) {
    if let Ok(mut spent) = SPENT.lock() {
        spent.retain(|(_, at)| at.elapsed() < KEPT);
        spent.push((token.clone(), Instant::now()));
    }
}

/// Whether two passwords have been refused for this token lately, as far as this process knows.
pub fn is_noted(token: &VersionId) -> bool {
    SPENT.lock().is_ok_and(|spent| spent.iter().any(|(noted, at)| noted == token && at.elapsed() < KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_noted_and_no_other() {
        note(&VersionId::new("spent-one"));
        assert!(is_noted(&VersionId::new("spent-one")) && !is_noted(&VersionId::new("spent-two")));
    }
}
