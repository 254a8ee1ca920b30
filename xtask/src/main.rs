//! The commands for developers and CI: `cargo xtask VERB`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod bench;
mod command;
mod deploy;
mod docker;
mod facts;
mod fuzz;
mod mutants;
mod package;
mod parts;
mod setup;
mod soak;
mod suites;
mod sweep;
mod template;
mod test;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask VERB

  demo          a password rotates while eight clients keep logging in; finds or fetches a PostgreSQL
  test          formatting, lints, licences, and every test; installs what is missing first
  package       a zip and an SBOM of every function for both processors, in target/package
  template      template.yaml, from xtask/template and each target's own target.yaml
  deploy-check  the template, the packages and the examples of docs/deploying.md, without AWS
  docker        three rotations of each strategy against servers in containers: starts an engine if none runs
  sweep         every rotation of every function, killed at every call and every message: [--minutes N] for a sample
  fuzz          random bytes for whatever reads foreign ones: [--smoke | --seconds N] [TARGET]
  bench         measures every function as it is deployed and writes docs/benchmarks.md, which has the options
  scale         1,000 secrets through one process and through fifty, and 100,000 simulated
  continuity    what clients and pools notice while functions are killed: checks it and writes it into docs/benchmarks.md
  mutants       breaks shared/ in small ways, one at a time, to see that a test fails: takes cargo-mutants' options
  suites        what others have made for Secrets Manager, against the lab: moto's tests, and AWS's agent
  aws           --facts: whether the recorded facts hold for the real service; says first what it needs, does and costs
  soak          ten thousand rotations: nothing grows, nothing gets slower: [--rotations N]
";

fn main() -> ExitCode {
    // Cargo passes this package's folder. Everything here works from the top of the workspace.
    let Some(package) = env::var_os("CARGO_MANIFEST_DIR") else {
        eprintln!("xtask is started by `cargo xtask`");
        return ExitCode::FAILURE;
    };
    if let Err(error) = env::set_current_dir(std::path::Path::new(&package).join("..")) {
        eprintln!("cannot enter the workspace: {error}");
        return ExitCode::FAILURE;
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo"] => demo(),
        ["test"] => test::run_all(),
        ["package"] => package::run_all(),
        ["template"] => template::write(),
        ["deploy-check"] => deploy::run_all(),
        ["docker"] => docker::run_all(),
        ["sweep", ref options @ ..] => sweep::run_all(options).unwrap_or_else(misunderstood),
        ["fuzz", ref rest @ ..] => fuzz::run_all(rest).unwrap_or_else(misunderstood),
        ["bench", ref options @ ..] => bench::run_all(options),
        ["scale"] => bench::scale(),
        ["continuity"] => bench::continuity(),
        ["suites"] => suites::run_all(),
        ["aws", ref rest @ ..] => facts::run_all(rest).unwrap_or_else(misunderstood),
        ["mutants", ref options @ ..] => mutants::run_all(options),
        ["soak", ref rest @ ..] => soak::run_all(rest).unwrap_or_else(misunderstood),
        _ => misunderstood(),
    }
}

fn misunderstood() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

/// Runs `turnlock demo`. The tool and its function are built together, so that they share their dependencies: those of the other
/// verbs, without the MySQL driver.
fn demo() -> ExitCode {
    let built = command::run(&mut command::cargo(&[
        "build",
        "--locked",
        "--no-default-features",
        "--package",
        "turnlock",
        "--package",
        "rotate-postgres",
        "--package",
        "rotate-api-key",
    ]));
    let folder = command::target().join("debug");
    let ran = built.and_then(|()| {
        command::run(command::command(folder.join("turnlock"), &["demo"]).env("TURNLOCK_BIN_DIR", &folder))
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
