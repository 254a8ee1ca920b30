//! The crash sweep: a rotation is recorded once; then, for every external call and database message in it, it is cut exactly
//! there, and what the service would do next must bring it to its end. Knows no target: a [`Stage`] says what logs in.

mod case;
mod plan;
mod stage;

use std::env;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use case::{NEVER_REACHED, NO_STAGE, violation};
pub use plan::{Aftermath, Case, Cut, Recording};
pub use stage::{Accepts, Answer, Epilogue, Stage};

/// What a sweep came to.
#[derive(Debug)]
pub struct Report {
    /// How many cases were run.
    pub cases: usize,
    /// What went wrong, with the case it went wrong in.
    pub failures: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { cases, failures, took } = self;
        write!(f, "{cases} cases in {:.1} s, {} failed", took.as_secs_f64(), failures.len())
    }
}

/// A sweep as a test: a sample of the cases, or all of them if `TURNLOCK_SWEEP=all`, and some pairs of cuts. The sample is that
/// of `TURNLOCK_SEED`, or of a seed that is printed. What was run is printed; what failed is the error. With `TURNLOCK_SWEEP=later`,
/// for a run that ends with the whole sweep, there is none.
pub async fn check<F, S>(name: &str, make: F, at_once: usize) -> Result<(), String>
where
    F: Fn() -> S + Send + Sync + 'static,
    S: Future<Output = io::Result<Stage>> + Send + 'static,
{
    check_all_but(|_| false, name, make, at_once).await
}

/// The same without the cases that the target makes no promise for. Each needs a test of its own that says what is left of it.
#[expect(clippy::print_stdout, reason = "the number of cases, the time and the seed are what one sweeps for")]
pub async fn check_all_but<F, S>(
    exempt: impl Fn(&Case) -> bool,
    name: &str,
    make: F,
    at_once: usize,
) -> Result<(), String>
where
    F: Fn() -> S + Send + Sync + 'static,
    S: Future<Output = io::Result<Stage>> + Send + 'static,
{
    let extent = env::var("TURNLOCK_SWEEP").unwrap_or_default();
    if extent == "later" {
        println!("no sweep of {name} now: all of it comes later");
        return Ok(());
    }
    let recording = record(&make).await?;
    let seed = env::var("TURNLOCK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    let mut cases = match &*extent {
        "all" => [recording.all(), recording.pairs(60, seed)].concat(),
        _ => [recording.sample(20, seed), recording.pairs(4, seed)].concat(),
    };
    cases.retain(|case| !exempt(case));
    // Cases that wait for a lock stand together; mixed, they wait while others work.
    cases.shuffle(&mut StdRng::seed_from_u64(seed));
    let report = run(make, cases, at_once).await;
    println!("sweep of {name}: {report} (TURNLOCK_SEED={seed})");
    if report.failures.is_empty() { Ok(()) } else { Err(report.failures.join("\n")) }
}

/// Records one rotation without any fault, after one with every promise checked after every call.
pub async fn record<F, S>(make: &F) -> Result<Recording, String>
where
    F: Fn() -> S + Sync,
    S: Future<Output = io::Result<Stage>> + Send,
{
    case::record(make).await
}

/// Runs cases, some at a time.
pub async fn run<F, S>(make: F, cases: Vec<Case>, at_once: usize) -> Report
where
    F: Fn() -> S + Send + Sync + 'static,
    S: Future<Output = io::Result<Stage>> + Send + 'static,
{
    let started = Instant::now();
    let (make, places) = (Arc::new(make), Arc::new(Semaphore::new(at_once)));
    let mut running = JoinSet::new();
    let count = cases.len();
    for case in cases {
        let (make, places) = (Arc::clone(&make), Arc::clone(&places));
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            let outcome = match make().await {
                Ok(stage) => {
                    let outcome = case::run(&stage, &case).await;
                    // The lab's hooks hold the lab, so its functions would live as long as this process.
                    stage.world.function.kill();
                    outcome
                }
                Err(error) => Err(format!("{NO_STAGE}{error}")),
            };
            outcome.map_err(|error| format!("{case}: {error}"))
        });
    }
    let mut failures = Vec::new();
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failures.push(failure),
            Err(panic) => failures.push(panic.to_string()),
        }
    }
    Report { cases: count, failures, took: started.elapsed() }
}
