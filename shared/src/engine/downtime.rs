//! How long clients were refused, for strategies where the old password dies before the new one is current.

use std::sync::Mutex;
use std::time::Instant;

use crate::value::version::VersionId;

/// When this process last set a password, and for which token. Steps of one rotation usually reach the same process; where
/// they do not, the figure is missing rather than wrong.
static SET: Mutex<Option<(VersionId, Instant)>> = Mutex::new(None);

/// The server has taken the new password at this moment; AWSCURRENT still names the old one.
pub fn begins(token: &VersionId, at: Instant) {
    if let Ok(mut set) = SET.lock()
        && set.as_ref().is_none_or(|(earlier, _)| earlier != token)
    {
        *set = Some((token.clone(), at));
    }
}

/// AWSCURRENT names the new password.
pub fn ends(token: &VersionId) {
    let begun = SET.lock().ok().and_then(|mut set| set.take_if(|(earlier, _)| earlier == token));
    match begun {
        Some((_, at)) => crate::door::metrics::downtime(at.elapsed()),
        None => tracing::info!(
            "another process set the password, so the downtime of this rotation is not known here"
        ),
    }
}
