//! `cargo xtask suites`: what others have made for Secrets Manager, against the lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{cargo, command, run, target, watch};
use crate::parts::{Parts, Tally};
use crate::setup;
use crate::test::{number_before, run_tests};

/// The version whose differences tests/suites/moto.toml lists.
const MOTO: &str = "moto==5.2.5";

const PACKAGES: [&str; 5] = [
    "moto[server,secretsmanager,awslambda,dynamodb,iam]==5.2.5",
    "boto3==1.44.5",
    "pytest==9.2.0",
    "freezegun==1.5.5",
    "requests==2.34.2",
];

/// Every suite and client that `cargo xtask test` leaves out. They are downloaded, and never part of this tree.
pub(crate) fn run_all() -> ExitCode {
    let mut parts = Parts::default();
    parts.part("setup", setup::packages);
    parts.part("build", || run(&mut cargo(&["build", "--locked", "--workspace"])));
    parts.part("moto", moto);
    parts.part("agent", agent);
    parts.end()
}

/// moto's tests in server mode. Those listed in moto.toml must fail, and no other.
fn moto() -> Result<Tally, String> {
    let python = setup::python("suites", &PACKAGES)?;
    let tests = moto_tests(&python)?;
    let top = std::env::current_dir().map_err(|error| error.to_string())?;
    let options =
        ["-m", "pytest", "-p", "front", "-p", "no:cacheprovider", "--quiet", "--color=no", "--tb=short"];
    let mut tally = Tally::default();
    let done = watch(
        command(python.join("python"), &options)
            .args(["--show-capture=no", "-rf", "tests/test_secretsmanager"])
            .current_dir(tests)
            .env("LAB", target().join("debug/turnlock"))
            .env("PYTHONPATH", top.join("tests/suites"))
            .env("PYTHONDONTWRITEBYTECODE", "1"),
        |line| {
            if line.contains(" passed") && line.contains(" xfailed") {
                tally.passed = number_before(line, " passed") + number_before(line, " xfailed");
                tally.failed = number_before(line, " failed");
            }
        },
    );
    match done {
        Err(why) if tally.failed == 0 => Err(why),
        _ => Ok(tally),
    }
}

/// AWS's agent, and in it AWS's caching client for Rust.
fn agent() -> Result<Tally, String> {
    let test = ["--workspace", "--test", "secrets", "agent", "--", "--ignored"];
    let agent = format!("env.TURNLOCK_TEST_AGENT = '{}'", setup::agent()?.display());
    run_tests(&[&["--config", &agent], &test[..]].concat(), &target().join("debug"))
}

/// A folder with moto's tests, which its wheel lacks and its source archive has.
fn moto_tests(python: &Path) -> Result<PathBuf, String> {
    let folder = setup::tools().join("suites").join(MOTO.replace("==", "-"));
    let archive = folder.join("archive");
    if !folder.join("tests").exists() {
        println!("downloading the tests of {MOTO}");
        fs::create_dir_all(&archive).map_err(|error| format!("{}: {error}", archive.display()))?;
        let download = ["download", "--quiet", "--no-deps", "--no-binary", "moto", MOTO, "--dest"];
        run(command(python.join("pip"), &download).arg(&archive))?;
        let name = MOTO.replace("==", "-");
        let unpack = ["--extract", "--strip-components=1", "--file", &format!("archive/{name}.tar.gz")];
        run(command("tar", &unpack).arg(format!("{name}/tests")).current_dir(&folder))?;
    }
    Ok(folder)
}
