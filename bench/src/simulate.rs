//! Simulates many secrets that rotate in one window, against the quotas of one account and Region. This is a model, not a measurement;
//! docs/scale.md lists its assumptions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// PutSecretValue, UpdateSecretVersionStage and others together, each second (Secrets Manager, "Quotas"); not adjustable.
const WRITES: f64 = 50.0;
/// DescribeSecret and GetSecretValue together, each second (the same page).
const READS: f64 = 10_000.0;
/// The default quota for executions at once in an account (Lambda, "Quotas").
pub(crate) const CONCURRENCY: usize = 1_000;

/// When the steps of a rotation end, in milliseconds from its start, if nothing is refused; the write call that the step makes
/// comes at its end. A cold start, a Region's latency, and the service's pauses between steps.
const STEPS: [(u64, bool); 4] = [(300, true), (700, false), (1_000, false), (1_400, true)];
/// Calls in each step that only read.
const READS_OF_A_STEP: f64 = 3.0;
/// The tries and pauses of the SDK under throttling, as our functions set them.
const ATTEMPTS: u32 = 10;
/// The service tries a step that failed again, after a pause that it does not document.
const SERVICE_PAUSE: u64 = 60_000;

/// The result of a simulation.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) refused: u64,
    pub(crate) writes: u64,
    /// Steps that ended in an error and had to be invoked again.
    pub(crate) failed_steps: u64,
    pub(crate) most_at_once: usize,
    pub(crate) most_reads: f64,
    /// The longest rotation, in seconds.
    pub(crate) longest: f64,
}

/// A token bucket of one second's worth.
struct Bucket {
    rate: f64,
    left: f64,
    at: u64,
}

impl Bucket {
    fn take(&mut self, now: u64) -> bool {
        self.left = (self.left + (now - self.at) as f64 / 1000.0 * self.rate).min(self.rate);
        self.at = now;
        let has = self.left >= 1.0;
        if has {
            self.left -= 1.0;
        }
        has
    }
}

/// Simulates secrets that each rotate at a random moment of a window of this many seconds.
pub(crate) fn run(secrets: u32, window: u64, seed: u64) -> Outcome {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bucket = Bucket { rate: WRITES, left: WRITES, at: 0 };
    let starts: Vec<u64> = (0..secrets).map(|_| random.random_range(0..window * 1000)).collect();
    // Each entry: the time, the secret, the step, and the try.
    let mut events: BinaryHeap<Reverse<(u64, u32, usize, u32)>> =
        (0..).zip(&starts).map(|(secret, start)| Reverse((start + STEPS[0].0, secret, 0, 1))).collect();
    let mut outcome = Outcome::default();
    let mut spans = Vec::with_capacity(starts.len());
    while let Some(Reverse((now, secret, step, attempt))) = events.pop() {
        if STEPS[step].1 {
            outcome.writes += 1;
            if !bucket.take(now) {
                outcome.refused += 1;
                let again = match attempt % ATTEMPTS {
                    0 => {
                        outcome.failed_steps += 1;
                        SERVICE_PAUSE
                    }
                    // Full jitter, doubling from 100 ms to 2 s.
                    attempt => random.random_range(0..=(100 << attempt.min(5)).min(2_000)),
                };
                events.push(Reverse((now + again, secret, step, attempt + 1)));
                continue;
            }
        }
        match STEPS.get(step + 1) {
            Some((end, _)) => events.push(Reverse((now + end - STEPS[step].0, secret, step + 1, 1))),
            None => spans.push((starts[secret as usize], now)),
        }
    }
    outcome.longest = spans.iter().map(|(start, end)| end - start).max().unwrap_or(0) as f64 / 1000.0;
    outcome.most_at_once = most_at_once(&spans);
    // Each rotation makes its reads when its steps run.
    let reads = READS_OF_A_STEP * STEPS.len() as f64 / (STEPS[3].0 as f64 / 1000.0);
    outcome.most_reads = (outcome.most_at_once as f64 * reads).min(READS);
    outcome
}

fn most_at_once(spans: &[(u64, u64)]) -> usize {
    let mut edges: Vec<(u64, i32)> = spans.iter().flat_map(|&(start, end)| [(start, 1), (end, -1)]).collect();
    edges.sort_unstable();
    let mut now = 0;
    edges
        .into_iter()
        .map(|(_, change)| {
            now += change;
            now
        })
        .max()
        .map_or(0, |most| most.unsigned_abs() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_secrets_meet_no_quota() {
        let outcome = run(100, 3_600, 1);
        assert_eq!((outcome.refused, outcome.failed_steps, outcome.writes), (0, 0, 200));
        assert_eq!(outcome.longest, 1.4);
    }

    #[test]
    fn more_than_the_quota_takes_as_long_as_the_quota_says() {
        // 20,000 writes at 50 a second are 400 s, however small the window is.
        let outcome = run(10_000, 60, 1);
        assert!(outcome.refused > 0 && outcome.longest > 300.0, "{outcome:?}");
        assert_eq!(outcome.writes, 20_000 + outcome.refused);
    }
}
