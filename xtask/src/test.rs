//! `cargo xtask test`: all checks that a change has to pass, with the time of each part.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{cargo, command, run, target, watch};
use crate::parts::{Parts, Tally};
use crate::setup::{self, remove};

/// Every test but those in documentation, each program's in a random order. A program prints the seed of its order, which
/// `--shuffle-seed` repeats. The standard test runner takes these options from a toolchain that calls itself unstable. Only the
/// programs are told so, not the compiler.
const SHUFFLED: [&str; 10] = [
    "--config",
    "target.'cfg(unix)'.runner = ['env', 'RUSTC_BOOTSTRAP=1']",
    "--workspace",
    "--lib",
    "--bins",
    "--tests",
    "--",
    "-Z",
    "unstable-options",
    "--shuffle",
];

/// Runs every part, even after a failure.
pub(crate) fn run_all() -> ExitCode {
    let mut parts = Parts::default();
    parts.part("setup", setup::packages);
    parts.part("format", || run(&mut cargo(&["fmt", "--all", "--check"])));
    // Fetches for the fuzzers too. No other part here uses their workspace, and its lock file has to follow the packages of this
    // one.
    parts.part("fetch", || {
        run(&mut cargo(&["fetch", "--locked"]))?;
        run(&mut cargo(&["fetch", "--locked", "--manifest-path", "fuzz/Cargo.toml"]))
    });
    parts.part("deny", deny);
    parts.part("clippy", || {
        run(&mut cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    parts.part("doc", || {
        let document = ["doc", "--locked", "--workspace", "--no-deps", "--lib"];
        run(cargo(&document).env("RUSTDOCFLAGS", "-D warnings"))
    });
    parts.part("build functions", || build_functions().map(drop));
    parts.part("build tests", || run(&mut cargo(&["test", "--locked", "--workspace", "--no-run"])));
    parts.part("tests", || run_tests(&SHUFFLED, &target().join("functions")));
    parts.part("doc tests", || run_tests(&["--workspace", "--doc"], &target().join("functions")));
    parts.end()
}

/// Checks licences, duplicate versions, forbidden crates and sources. Advisories need a network that not every machine has.
fn deny() -> Result<(), String> {
    let program = setup::cargo_deny()?;
    run(&mut command(program, &["--offline", "check", "licenses", "bans", "sources"]))
}

/// The names of the functions' packages, and of their binaries. Each folder has one.
pub(crate) fn functions() -> Result<Vec<String>, String> {
    functions_in(Path::new(""))
}

/// The same for the workspace in a folder.
pub(crate) fn functions_in(top: &Path) -> Result<Vec<String>, String> {
    let folders = fs::read_dir(top.join("functions")).map_err(|error| format!("functions: {error}"))?;
    let folders = folders.flatten().filter(|entry| entry.path().join("Cargo.toml").exists());
    let mut names: Vec<String> =
        folders.map(|entry| format!("rotate-{}", entry.file_name().to_string_lossy())).collect();
    names.sort();
    Ok(names)
}

/// Builds the functions with the rest of the workspace, so that the build of the tests uses the same dependencies, and copies
/// them to a separate folder. `cargo xtask package` builds the deployed functions one by one, and checks them there. `shared` has
/// no features, so a rotation is the same in both builds.
pub(crate) fn build_functions() -> Result<PathBuf, String> {
    let folder = target().join("functions");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    run(&mut cargo(&["build", "--locked", "--workspace"]))?;
    for name in functions()? {
        let (from, to) = (target().join("debug").join(&name), folder.join(&name));
        // A running program cannot be overwritten, so the copy becomes a new file.
        remove(&to)?;
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    Ok(folder)
}

/// Runs the tests of some packages against the functions in a folder.
///
/// This uses Cargo's own test runner and not nextest: the tests of a binary share each server, which nextest would start again
/// for each test.
pub(crate) fn run_tests(packages: &[&str], functions: &Path) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let done = watch(
        cargo(&["test", "--locked", "--no-fail-fast"])
            .args(packages)
            .env("TURNLOCK_BIN_DIR", functions)
            // Without it, a missing server is a failure.
            .env_remove("ALLOW_SKIP"),
        |line| {
            if let Some(result) = line.strip_prefix("test result: ") {
                tally.passed += number_before(result, " passed");
                tally.failed += number_before(result, " failed");
            }
        },
    );
    match done {
        // A test binary that crashed prints no result line.
        Err(why) if tally.failed == 0 => Err(why),
        // The filter matches no test any more.
        Ok(()) if tally.passed == 0 => Err("no test was run".to_owned()),
        _ => Ok(tally),
    }
}

/// The number before a word, as in `ok. 12 passed; 0 failed`.
pub(crate) fn number_before(text: &str, word: &str) -> u32 {
    let before = text.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
