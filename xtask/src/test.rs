//! `cargo xtask test`: everything that a change has to pass, each part with its time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{cargo, command, run, target, watch};
use crate::parts::{Parts, Tally};
use crate::setup::{self, remove};

/// Runs every part, whatever became of those before it.
pub(crate) fn run_all() -> ExitCode {
    let mut parts = Parts::default();
    parts.part("setup", setup::packages);
    parts.part("format", || run(&mut cargo(&["fmt", "--all", "--check"])));
    // Also of the fuzzers, whose workspace nothing else here looks at: its lock file has to follow this one's packages.
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
    parts.part("tests", || run_tests(&["--workspace"], &target().join("functions")));
    parts.end()
}

/// Licences, duplicate versions, forbidden crates, sources. Advisories need a network that not every machine has.
fn deny() -> Result<(), String> {
    let program = setup::cargo_deny()?;
    run(&mut command(program, &["--offline", "check", "licenses", "bans", "sources"]))
}

/// The names of the functions' packages, which are those of their binaries: one for each folder.
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

/// Builds the functions with the rest of the workspace, so that the tests' own build has the same dependencies, and keeps
/// them in a folder of their own. What is deployed is built one by one, by `cargo xtask package`, and checked there; `shared`
/// has no features, so the two differ in nothing that a rotation can see.
pub(crate) fn build_functions() -> Result<PathBuf, String> {
    let folder = target().join("functions");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    run(&mut cargo(&["build", "--locked", "--workspace"]))?;
    for name in functions()? {
        let (from, to) = (target().join("debug").join(&name), folder.join(&name));
        // A program that runs cannot be written to; a new file can take its place.
        remove(&to)?;
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    Ok(folder)
}

/// Runs the tests of some packages against the functions in a folder.
///
/// With Cargo's own test runner, not nextest: a test binary starts each server once and its tests share it, which a
/// process for each test would undo.
pub(crate) fn run_tests(packages: &[&str], functions: &Path) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let done = watch(
        cargo(&["test", "--locked", "--no-fail-fast"])
            .args(packages)
            .env("TURNLOCK_BIN_DIR", functions)
            // Here a server that cannot be had is a failure.
            .env_remove("ALLOW_SKIP"),
        |line| {
            if let Some(result) = line.strip_prefix("test result: ") {
                tally.passed += number_before(result, " passed");
                tally.failed += number_before(result, " failed");
            }
        },
    );
    match done {
        // A test binary that crashed has no result line.
        Err(why) if tally.failed == 0 => Err(why),
        // A filter that nothing answers to any more.
        Ok(()) if tally.passed == 0 => Err("no test was run".to_owned()),
        _ => Ok(tally),
    }
}

/// The number that stands before a word, as in `ok. 12 passed; 0 failed`.
pub(crate) fn number_before(text: &str, word: &str) -> u32 {
    let before = text.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
