//! `cargo xtask mutants`: breaks `shared/` in small ways, one at a time, and looks whether a test notices.

use std::process::ExitCode;

use crate::command::{command, copy_tree, run, target};
use crate::parts::Parts;
use crate::setup::{self, remove};

/// Tests of PostgreSQL that take long and are about its own privileges and names.
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

/// Files of `shared/src`, or all of them, with further options for cargo-mutants (`--shard 0/8`).
pub(crate) fn run_all(arguments: &[&str]) -> ExitCode {
    let mut parts = Parts::default();
    parts.part("setup", setup::packages);
    parts.part("mutants", || mutants(arguments));
    parts.end()
}

/// In a copy of the tree, because it is the copy that gets broken. What survived is in `mutants.out/missed.txt`.
fn mutants(arguments: &[&str]) -> Result<(), String> {
    let folder = target().join("mutants");
    let tree = folder.join("tree");
    remove(&tree)?;
    copy_tree(&tree)?;
    // Its own look at the whole tree is left out: it would look for PostgreSQL's tests in the wrong package.
    let options =
        ["mutants", "--in-place", "--package", "rotation", "--baseline", "skip", "--timeout", "300"];
    let tested = ["--test-package", "rotation", "--test-package", "rotate-postgres"];
    let mut mutants = command(setup::cargo_mutants()?, &options);
    mutants.args(tested).arg("--output").arg(&folder).args(arguments).current_dir(tree);
    // A folder of its own, or a broken function would be left where others look for a whole one.
    mutants.env("CARGO_TARGET_DIR", folder.join("target")).env_remove("TURNLOCK_BIN_DIR");
    mutants.args(["--", "--lib", "--test", "live", "--"]);
    run(mutants.args(LEFT_OUT.iter().flat_map(|name| ["--skip", name])))
}
