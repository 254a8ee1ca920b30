//! `turnlock conform` itself is tried: every check passes for a function that is right, and fails for one that is wrong in
//! just the way that the check is there to find. The function is tests/conform/reference.py; its faults are in mutant.py.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where, and stops")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The drivers of the reference function. (Without TLS, MySQL wants passwords encrypted, which PyMySQL leaves to cryptography.)
const PACKAGES: [&str; 3] = ["pg8000==1.31.6", "PyMySQL==1.2.4", "cryptography==50.0.2"];

/// Decides where rotations are cut. With this seed, the mutant's fault shows in one of the places.
const SEED: &str = "1";

const SINGLE: [&str; 2] = ["--strategy", "single-user"];
const PAIR: [&str; 2] = ["--strategy", "alternating-users"];

/// Rotations are cut on one engine with one strategy: that takes most of the time, and the checks are the same for all.
const CUT: &str = "cut anywhere";

/// An engine, a strategy, and whether rotations are cut as well.
type Run = (&'static str, [&'static str; 2], bool);

const RUNS: [Run; 2] = [("postgres", SINGLE, true), ("postgres", PAIR, false)];

/// One of these in each run of the tests, another one each time: the checks are the same for all engines.
const OTHERS: [Run; 2] = [("mysql", SINGLE, false), ("mariadb", PAIR, false)];

fn runs() -> impl Iterator<Item = Run> {
    let other = OTHERS[std::process::id() as usize % OTHERS.len()];
    RUNS.into_iter().chain([other])
}

#[test]
fn every_check_passes_for_the_reference() {
    for (engine, strategy, cuts) in runs() {
        let card = conform(engine, strategy, cuts, "");
        let others = not(&card, "pass");
        assert!(others.is_empty(), "{engine}, {}: {others:#?}", strategy[1]);
    }
}

#[test]
fn every_check_fails_for_its_mutant() {
    for (engine, strategy, cuts) in runs() {
        let card = conform(engine, strategy, cuts, "each");
        let survivors = not(&card, "fail");
        assert!(survivors.is_empty(), "no fault is found on {engine}, {}: {survivors:#?}", strategy[1]);
    }
}

#[test]
fn every_mutant_has_its_check() {
    let listed = Command::new(python()).arg(tests().join("mutant.py")).output().unwrap();
    let mutants: BTreeSet<String> =
        String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
    let names = [SINGLE, PAIR].into_iter().flat_map(|strategy| checks("postgres", strategy, true));
    assert_eq!(mutants, names.collect());
}

/// Puts the reference through all checks, or through all but the cuts; the card.
fn conform(engine: &str, strategy: [&str; 2], cuts: bool, mutant: &str) -> Value {
    let mut conform = turnlock(engine, strategy);
    conform.args(["--json", "--seed", SEED]);
    for check in checks(engine, strategy, cuts) {
        conform.args(["--check", &check]);
    }
    let compiled = env!("CARGO_TARGET_TMPDIR");
    conform.args(["--", "env", &format!("MUTANT={mutant}"), &format!("PYTHONPYCACHEPREFIX={compiled}")]);
    let output = conform.arg(python()).arg(tests().join("reference.py")).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&printed).unwrap_or_else(|_| {
        panic!("{printed}{}", String::from_utf8_lossy(&output.stderr));
    })
}

/// The names of the checks for a strategy, with or without the cuts.
fn checks(engine: &str, strategy: [&str; 2], cuts: bool) -> Vec<String> {
    let output = turnlock(engine, strategy).args(["--list", "--json"]).output().unwrap();
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let listed = listed.iter().filter(|check| cuts || check["part"] != CUT);
    listed.map(|check| check["check"].as_str().unwrap().to_owned()).collect()
}

/// The lines of a card with another verdict.
fn not(card: &Value, verdict: &str) -> Vec<String> {
    let lines = card["lines"].as_array().unwrap().iter().filter(|line| line["verdict"] != verdict);
    lines.map(|line| format!("{}: {}: {}", line["check"], line["verdict"], line["detail"])).collect()
}

fn turnlock(engine: &str, strategy: [&str; 2]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnlock"));
    command.args(["conform", "--engine", engine]).args(strategy).stdin(Stdio::null());
    command
}

fn tests() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conform"))
}

fn python() -> PathBuf {
    lab::servers::python("conform", &PACKAGES).unwrap()
}
