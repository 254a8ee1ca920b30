//! Lambda's deadline, and waits that end before it with an error that names what was waited for.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::error::{Error, Kind, Result};

/// Kept back from Lambda's deadline, so that the answer and its log lines still get out.
const RESERVE: Duration = Duration::from_millis(700);

/// Lambda runs nothing for longer ("Lambda quotas", function timeout), so less than this since the epoch is no date.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The instant at which this invocation has to be over.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// From Lambda's header: milliseconds since the epoch.
    pub fn at_epoch_ms(ms: u64) -> Deadline {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let given = Duration::from_millis(ms);
        // `cargo lambda watch` sends 600000 to everyone: no time of 1970, but how long it waits.
        let left = if given < LONGEST { given } else { given.saturating_sub(now) };
        Deadline::after(left.saturating_sub(RESERVE.min(left / 4)))
    }

    /// From now on.
    pub fn after(left: Duration) -> Deadline {
        Deadline(Instant::now() + left)
    }

    /// What is left.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Waits for something, at most `limit` and never past the deadline.
    pub async fn within<T>(
        self,
        limit: Duration,
        what: impl Display,
        wait: impl Future<Output = T>,
    ) -> Result<T> {
        let limit = limit.min(self.left());
        tokio::time::timeout(limit, wait).await.map_err(|_| {
            let what = format!("gave up waiting for {what} after {:.1} s", limit.as_secs_f64());
            let error = Error::new(Kind::Unreachable, what);
            if self.left().is_zero() {
                error.remedy("the function's time ran out: raise its timeout to 30 s or more, and see what was waited for")
            } else {
                error
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_from_a_local_emulator_is_not_taken_for_a_time_long_past() {
        let left = Deadline::at_epoch_ms(600_000).left();
        assert!(left > Duration::from_secs(590), "{left:?}");
        assert!(Deadline::at_epoch_ms(1_600_000_000_000).left().is_zero(), "a time in 2020 is past");
    }
}
