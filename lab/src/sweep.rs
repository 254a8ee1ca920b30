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
    /// How many cases there were.
    pub planned: usize,
    /// What went wrong, with the case it went wrong in.
    pub failures: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { cases, planned, failures, took } = self;
        write!(f, "{cases} cases in {:.1} s, {} failed", took.as_secs_f64(), failures.len())?;
        if cases < planned { write!(f, ", of {planned}") } else { Ok(()) }
    }
}

/// A sweep as a test. `TURNLOCK_SWEEP` says how much of it runs: `all` of the cases, `none`, as many as begin within a number of
/// seconds, or a small sample if it is not set. `TURNLOCK_SEED` chooses the sample and the order; without it a seed is made and
/// printed. The printed line says how many cases were run; the error says what failed.
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
    let extent = Extent::wanted()?;
    if let Extent::Nothing = extent {
        println!("no sweep of {name}: TURNLOCK_SWEEP=none");
        return Ok(());
    }
    let recording = record(&make).await?;
    let seed = env::var("TURNLOCK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    let mut cases = match extent {
        Extent::Sample | Extent::Nothing => [recording.sample(20, seed), recording.pairs(4, seed)].concat(),
        Extent::All | Extent::For(_) => [recording.all(), recording.pairs(60, seed)].concat(),
    };
    cases.retain(|case| !exempt(case));
    // Cases that wait for a lock stand together; mixed, they wait while others work.
    cases.shuffle(&mut StdRng::seed_from_u64(seed));
    let limit = if let Extent::For(time) = extent { Some(time) } else { None };
    let report = run(make, cases, at_once, limit).await;
    println!("sweep of {name}: {report} (TURNLOCK_SEED={seed})");
    if report.failures.is_empty() { Ok(()) } else { Err(report.failures.join("\n")) }
}

/// How much of a sweep a test runs.
#[derive(Clone, Copy)]
enum Extent {
    Nothing,
    Sample,
    /// The cases in a random order, as many as begin within this time.
    For(Duration),
    All,
}

impl Extent {
    fn wanted() -> Result<Extent, String> {
        let Ok(wanted) = env::var("TURNLOCK_SWEEP") else { return Ok(Extent::Sample) };
        match (&*wanted, wanted.parse()) {
            ("none", _) => Ok(Extent::Nothing),
            ("all", _) => Ok(Extent::All),
            (_, Ok(seconds)) => Ok(Extent::For(Duration::from_secs(seconds))),
            _ => Err(format!("TURNLOCK_SWEEP is `all`, `none` or a number of seconds, not {wanted:?}")),
        }
    }
}

/// Records one rotation without any fault, after one with every promise checked after every call.
pub async fn record<F, S>(make: &F) -> Result<Recording, String>
where
    F: Fn() -> S + Sync,
    S: Future<Output = io::Result<Stage>> + Send,
{
    case::record(make).await
}

/// Runs cases, some at a time; with a limit, those that can begin within it.
pub async fn run<F, S>(make: F, cases: Vec<Case>, at_once: usize, limit: Option<Duration>) -> Report
where
    F: Fn() -> S + Send + Sync + 'static,
    S: Future<Output = io::Result<Stage>> + Send + 'static,
{
    let started = Instant::now();
    let (make, places) = (Arc::new(make), Arc::new(Semaphore::new(at_once)));
    let mut running = JoinSet::new();
    let planned = cases.len();
    for case in cases {
        let (make, places) = (Arc::clone(&make), Arc::clone(&places));
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            if limit.is_some_and(|limit| started.elapsed() > limit) {
                return None;
            }
            let outcome = match make().await {
                Ok(stage) => {
                    let outcome = case::run(&stage, &case).await;
                    // The lab's hooks hold the lab, so its functions would live as long as this process.
                    stage.world.function.kill();
                    outcome
                }
                Err(error) => Err(format!("{NO_STAGE}{error}")),
            };
            Some(outcome.map_err(|error| format!("{case}: {error}")))
        });
    }
    let (mut run, mut failures) = (0, Vec::new());
    while let Some(ended) = running.join_next().await {
        let outcome = ended.unwrap_or_else(|panic| Some(Err(panic.to_string())));
        run += usize::from(outcome.is_some());
        failures.extend(outcome.and_then(Result::err));
    }
    Report { cases: run, planned, failures, took: started.elapsed() }
}
