//! Time as the service shows it: milliseconds since 1970. Tests can set the clock forward.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// Milliseconds since 1970, UTC; the precision in which the service stores dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(pub u64);

impl Moment {
    pub(crate) const DAY: u64 = 24 * 60 * 60 * 1000;
    pub(crate) const HOUR: u64 = 60 * 60 * 1000;

    pub(crate) fn plus_days(self, days: u64) -> Self {
        Self(self.0 + days * Self::DAY)
    }

    /// Midnight of the same UTC day. The service shows dates of access only to the day.
    pub(crate) fn day(self) -> Self {
        Self(self.0 - self.0 % Self::DAY)
    }

    /// The wire form of AWS JSON 1.1: seconds with a fraction.
    pub(crate) fn json(self) -> Value {
        Value::from(self.0 as f64 / 1000.0)
    }
}

/// The lab's clock: the machine's time, plus the time by which tests have set it forward.
#[derive(Debug)]
pub struct Clock {
    ahead: AtomicU64,
    moved: watch::Sender<u64>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { ahead: AtomicU64::new(0), moved: watch::Sender::new(0) }
    }

    /// The time in the lab.
    #[must_use]
    pub fn now(&self) -> Moment {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Moment(u64::try_from(machine).unwrap_or(u64::MAX / 2) + self.ahead.load(Ordering::SeqCst))
    }

    /// Sets the clock forward. Schedules and recovery windows notice at once.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX / 4);
        let ahead = self.ahead.fetch_add(by, Ordering::SeqCst) + by;
        self.moved.send_replace(ahead);
    }

    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }
}
