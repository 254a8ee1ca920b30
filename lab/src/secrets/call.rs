//! The call log: operation, time, duration and outcome of each call, never a secret value.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was a success.
    Done,
    /// The answer was this exception.
    Refused(String),
    /// No answer left the lab: a fault closed the connection, or the caller went away.
    Unanswered,
}

/// One call of the log.
#[derive(Clone, Debug)]
pub struct Call {
    /// 1 for the first call since the log was cleared.
    pub number: u64,
    /// When it arrived, counted from the clearing of the log.
    pub at: Duration,
    /// The time until it was answered.
    pub duration: Duration,
    /// For example `GetSecretValue`.
    pub operation: String,
    /// The secret as the caller named it.
    pub secret: Option<String>,
    /// The version in the request: `VersionId`, `MoveToVersionId` or the token.
    pub version: Option<String>,
    /// `VersionStage`, or `VersionStages` joined with commas.
    pub stage: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// The caller's access key; empty for an unsigned request.
    pub access_key: String,
}

/// More calls than any test reads. Older ones are dropped, so that a lab that runs for days stays small.
const KEPT: usize = 10_000;

pub(crate) struct CallLog(Mutex<Log>);

struct Log {
    since: Instant,
    arrived: u64,
    calls: VecDeque<Call>,
}

impl CallLog {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Log { since: Instant::now(), arrived: 0, calls: VecDeque::new() }))
    }

    /// Counts a new call. Returns its number and time.
    pub(crate) fn arrive(&self) -> (u64, Duration) {
        let mut log = self.lock();
        log.arrived += 1;
        (log.arrived, log.since.elapsed())
    }

    pub(crate) fn push(&self, call: Call) {
        let mut log = self.lock();
        // The call was under way when the log was cleared, so it does not belong here.
        if call.number > log.arrived {
            return;
        }
        if log.calls.len() == KEPT {
            log.calls.pop_front();
        }
        log.calls.push_back(call);
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Log { since: Instant::now(), arrived: 0, calls: VecDeque::new() };
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = self.lock().calls.iter().cloned().collect();
        calls.sort_by_key(|call| call.number);
        calls
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().expect("nothing panics while it holds the call log")
    }
}

/// The longest chain of calls in which each began after the one before had ended.
pub(crate) fn depth(calls: &[Call]) -> usize {
    let mut spans: Vec<(Duration, Duration)> = calls.iter().map(|c| (c.at + c.duration, c.at)).collect();
    spans.sort_unstable();
    let mut free = None;
    let mut chain = 0;
    for (end, start) in spans {
        if free.is_none_or(|free| start >= free) {
            free = Some(end);
            chain += 1;
        }
    }
    chain
}
