//! `cargo xtask mutants`: breaks `shared/` in small ways, one at a time, and checks whether a test notices.

use std::process::ExitCode;

use crate::command::{command, copy_tree, run, target};
use crate::parts::Parts;
use crate::setup::{self, remove};

/// Slow tests of PostgreSQL that are about its own privileges and names.
const LEFT_OUT: [&str; 9] = [
    "live::diagnosis",
    "live::equality",
    "live::leaks",
    "live::names",
    "live::pair_sweep",
    "live::shapes",
    "live::sweep",
    "live::rds",
    "live::takeover",
];

/// Arguments: files of `shared/src`, or none for all of them, and further options for cargo-mutants (`--shard 0/8`).
pub(crate) fn run_all(arguments: &[&str]) -> ExitCode {
    let mut parts = Parts::default();
    parts.part("setup", setup::packages);
    parts.part("mutants", || mutants(arguments));
    parts.end()
}

/// Breaks a copy of the tree. `mutants.out/missed.txt` lists the changes that no test noticed.
fn mutants(arguments: &[&str]) -> Result<(), String> {
    let folder = target().join("mutants");
    let tree = folder.join("tree");
    remove(&tree)?;
    copy_tree(&tree)?;
    // Its own test of the unchanged tree is left out, because it would look for PostgreSQL's tests in the wrong package.
    let options =
        ["mutants", "--in-place", "--package", "rotation", "--baseline", "skip", "--timeout", "300"];
    let tested = ["--test-package", "rotation", "--test-package", "rotate-postgres"];
    let mut mutants = command(setup::cargo_mutants()?, &options);
    mutants.args(tested).arg("--output").arg(&folder).args(arguments).current_dir(tree);
    // A separate build folder, so that nobody else finds a broken function in theirs.
    mutants.env("CARGO_TARGET_DIR", folder.join("target")).env_remove("TURNLOCK_BIN_DIR");
    mutants.args(["--", "--lib", "--test", "live", "--"]);
    run(mutants.args(LEFT_OUT.iter().flat_map(|name| ["--skip", name])))
}
