//! `cargo xtask bench`, `scale` and `continuity`: builds the functions one by one, as they are deployed, and measures them.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::command::{cargo, run, target};
use crate::package::zip;
use crate::parts::Parts;
use crate::setup::remove;
use crate::test::functions;

/// Measures every function, and on request AWS's and the floor. Writes docs/benchmarks.md.
pub(crate) fn run_all(arguments: &[&str]) -> ExitCode {
    let mut parts = Parts::default();
    build(&mut parts);
    let (floor, arguments): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|argument| **argument == "--floor");
    // Removes the floor of an earlier run, which is measured only on request.
    parts.part("floor", || if floor.is_empty() { remove(&folder().join("floor")) } else { keep("floor") });
    parts.part("measure", || drive(&[], &arguments));
    parts.end()
}

/// Measures and simulates many secrets. Prints the figures of docs/scale.md.
pub(crate) fn scale() -> ExitCode {
    let mut parts = Parts::default();
    parts.part("build rotate-postgres", || keep("rotate-postgres"));
    parts.part("measure", || drive(&["scale"], &[]));
    parts.end()
}

/// Measures what clients notice while every function rotates and is killed in the middle. Writes docs/benchmarks.md, too.
pub(crate) fn continuity() -> ExitCode {
    let mut parts = Parts::default();
    build(&mut parts);
    parts.part("measure", || drive(&["continuity"], &[]));
    parts.end()
}

fn build(parts: &mut Parts) {
    for name in functions().unwrap_or_default() {
        parts.part(format!("build {name}"), || keep(&name));
    }
}

/// The folder of the functions to measure.
fn folder() -> PathBuf {
    target().join("bench")
}

/// Builds a function as it is deployed, for this machine's processor, and keeps it and its zip.
fn keep(name: &str) -> Result<(), String> {
    run(&mut cargo(&["build", "--release", "--locked", "--package", name]))?;
    let (built, folder) = (target().join("release").join(name), folder());
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    // A running program cannot be overwritten, so the copy becomes a new file.
    remove(&folder.join(name))?;
    fs::copy(&built, folder.join(name)).map_err(failed)?;
    let program = fs::read(&built).map_err(|error| format!("{}: {error}", built.display()))?;
    fs::write(folder.join(format!("{name}.zip")), zip(&program)?).map_err(failed)
}

/// Runs the measuring program, which is built optimised too.
fn drive(verb: &[&str], arguments: &[&str]) -> Result<(), String> {
    run(cargo(&["run", "--locked", "--profile", "driver", "--package", "bench", "--"])
        .args(verb)
        .arg(folder())
        .args(arguments))
}
