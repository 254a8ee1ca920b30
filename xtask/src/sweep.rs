//! `cargo xtask sweep`: cuts every function's rotation at every point, with every possible aftermath.

use std::env;
use std::path::{self, Path};
use std::process::ExitCode;

use crate::command::{cargo, output, watch};
use crate::parts::{Parts, Tally};
use crate::test;

/// How many tests run at once. A case spends much of its time waiting: for a process to start, for a lock, for a server.
const AT_ONCE: usize = 8;

/// Runs the sweep of every function: of those in `TURNLOCK_BIN_DIR`, if it is set. `--minutes N` runs the part of it that fits in
/// about that time, in an order that differs from run to run.
pub(crate) fn run_all(options: &[&str]) -> Option<ExitCode> {
    let minutes = match *options {
        [] => None,
        ["--minutes", minutes] => Some(minutes.parse().ok()?),
        _ => return None,
    };
    let (mut parts, mut swept) = (Parts::default(), Vec::new());
    // The tests run in their packages' folders.
    let mut functions = env::var_os("TURNLOCK_BIN_DIR").and_then(|folder| path::absolute(folder).ok());
    if functions.is_none() {
        parts.part("build functions", || test::build_functions().map(|folder| functions = Some(folder)));
    }
    if let Some(functions) = functions {
        parts.part("sweep", || {
            let extent = minutes.map_or(Ok("all".to_owned()), seconds_for_each)?;
            sweep(&functions, &extent, &mut swept)
        });
    }
    println!("\n{}", swept.join("\n"));
    Some(parts.end())
}

/// The seconds for each sweep, so that all of them take `minutes`. The test programs run one after another, and each runs its
/// tests in rounds of `AT_ONCE`.
fn seconds_for_each(minutes: u32) -> Result<String, String> {
    let listed = output(cargo(&TESTS).args(["--", "sweep", "--list"]))?;
    let programs = listed.split("benchmarks\n").map(|tests| tests.matches(": test\n").count());
    let rounds: usize = programs.map(|sweeps| sweeps.div_ceil(AT_ONCE)).sum();
    Ok((minutes as usize * 60 / rounds.max(1)).to_string())
}

/// The programs that have sweeps. The command names the whole workspace, so that it uses the build of the tests.
const TESTS: [&str; 6] = ["test", "--locked", "--no-fail-fast", "--workspace", "--test", "live"];

/// Counts cases, not tests. Each case is a rotation that was cut at another point. `run_all` prints the result of each sweep
/// again at the end.
fn sweep(functions: &Path, extent: &str, swept: &mut Vec<String>) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let done = watch(
        cargo(&TESTS)
            .args(["--", "sweep", "--nocapture"])
            .env("TURNLOCK_BIN_DIR", functions)
            .env("TURNLOCK_SWEEP", extent)
            .env("RUST_TEST_THREADS", AT_ONCE.to_string())
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
        Ok(()) if tally.passed == 0 => Err("no sweep was run".to_owned()),
        _ => Ok(tally),
    }
}

/// Cases and failures in the line that a sweep prints: `sweep of X: 120 cases in 31.5 s, 0 failed, of 864 (...)`.
fn counted(line: &str) -> Option<(u32, u32)> {
    let counts = line.split_once("sweep of ")?.1.split_once(" cases in ")?;
    let cases = counts.0.rsplit(' ').next()?.parse().ok()?;
    Some((cases, test::number_before(counts.1, " failed")))
}
