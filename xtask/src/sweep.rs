//! `cargo xtask sweep`: every function's rotation, cut everywhere, with everything that may happen afterwards.

use std::env;
use std::path::{self, Path};
use std::process::ExitCode;

use crate::command::{cargo, watch};
use crate::parts::{Parts, Tally};
use crate::test;

/// Runs the full sweep of every function: those that stand in `TURNLOCK_BIN_DIR`, if it is set.
pub(crate) fn run_all() -> ExitCode {
    let (mut parts, mut swept) = (Parts::default(), Vec::new());
    // The tests run in their packages' folders.
    let mut functions = env::var_os("TURNLOCK_BIN_DIR").and_then(|folder| path::absolute(folder).ok());
    if functions.is_none() {
        parts.part("build functions", || test::build_functions().map(|folder| functions = Some(folder)));
    }
    if let Some(functions) = functions {
        parts.part("sweep", || sweep(&functions, &mut swept));
    }
    println!("\n{}", swept.join("\n"));
    parts.end()
}

/// Counts cases, not tests: each is a rotation that was cut somewhere else. What each sweep came to is repeated at the end. The
/// whole workspace is named, because then nothing is built but what the tests have built already.
fn sweep(functions: &Path, swept: &mut Vec<String>) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let arguments = ["test", "--locked", "--no-fail-fast", "--workspace", "--test", "live"];
    let done = watch(
        cargo(&arguments)
            .args(["--", "sweep", "--nocapture"])
            .env("TURNLOCK_BIN_DIR", functions)
            .env("TURNLOCK_SWEEP", "all")
            // Much of a case is waiting: for a process to start, for a lock, for a server.
            .env("RUST_TEST_THREADS", "8")
            .env_remove("ALLOW_SKIP"),
        |line| {
            if let Some((cases, failed)) = counted(line) {
                tally.passed += cases.saturating_sub(failed);
                tally.failed += failed;
                swept.push(line.to_owned());
            }
        },
    );
    match done {
        Err(why) if tally.failed == 0 => Err(why),
        Ok(()) if tally.passed == 0 => Err("there is no sweep".to_owned()),
        _ => Ok(tally),
    }
}

/// Cases and failures in the line that a sweep prints: `sweep of X: 120 cases in 31.5 s, 0 failed (...)`.
fn counted(line: &str) -> Option<(u32, u32)> {
    let counts = line.split_once("sweep of ")?.1.split_once(" cases in ")?;
    let cases = counts.0.rsplit(' ').next()?.parse().ok()?;
    Some((cases, test::number_before(counts.1, " failed")))
}
