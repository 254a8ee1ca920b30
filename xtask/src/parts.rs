//! The parts of a long run. Each is timed, a failure does not stop the others, and the last line counts all checks.

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How many checks passed and failed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

/// A part that does not count its checks is one check.
impl From<()> for Tally {
    fn from((): ()) -> Tally {
        Tally { passed: 1, failed: 0 }
    }
}

/// A run of several parts.
#[derive(Default)]
pub(crate) struct Parts {
    done: Vec<Part>,
}

struct Part {
    name: String,
    took: Duration,
    tally: Tally,
}

impl Parts {
    /// Runs a part. If it fails, prints why and continues.
    pub(crate) fn part<T: Into<Tally>>(
        &mut self,
        name: impl Into<String>,
        work: impl FnOnce() -> Result<T, String>,
    ) {
        let name = name.into();
        println!("\n== {name}");
        let started = Instant::now();
        let tally = work().map_or_else(
            |why| {
                println!("{name} FAILED: {why}");
                Tally { passed: 0, failed: 1 }
            },
            Into::into,
        );
        self.done.push(Part { name, took: started.elapsed(), tally });
    }

    /// Prints the time of each part, and the sum as the last line.
    pub(crate) fn end(self) -> ExitCode {
        println!();
        let mut sum = Tally::default();
        for Part { name, took, tally } in &self.done {
            let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
            println!("{:>8.1} s  {name}: {verdict}", took.as_secs_f64());
            sum.passed += tally.passed;
            sum.failed += tally.failed;
        }
        let took: Duration = self.done.iter().map(|part| part.took).sum();
        println!("{:>8.1} s  in all", took.as_secs_f64());
        println!("{} passed, {} failed", sum.passed, sum.failed);
        if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
