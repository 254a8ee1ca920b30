//! `cargo xtask fuzz`: gives random bytes to every parser of foreign input, one target after another.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{cargo, command, output, run, target};
use crate::parts::Parts;
use crate::setup;

/// How many seconds a target runs by default. `SMOKE` is for CI, which only checks that the target still works.
const SECONDS: u32 = 60;
const SMOKE: u32 = 10;

/// Arguments: `--smoke`, `--seconds N` or neither; then a target, or none for all of them.
pub(crate) fn run_all(arguments: &[&str]) -> Option<ExitCode> {
    let (seconds, wanted) = match arguments {
        ["--smoke", rest @ ..] => (SMOKE, rest),
        ["--seconds", seconds, rest @ ..] => (seconds.parse().ok()?, rest),
        rest => (SECONDS, rest),
    };
    let wanted = match wanted {
        [] => None,
        [name] if !name.starts_with('-') => Some(*name),
        _ => return None,
    };
    let mut parts = Parts::default();
    parts.part("setup", || {
        setup::packages()?;
        setup::cplusplus()
    });
    let mut names = Vec::new();
    parts.part("build", || {
        let mut chosen = targets()?;
        chosen.retain(|name| wanted.is_none_or(|wanted| wanted == name));
        if let (Some(wanted), []) = (wanted, &chosen[..]) {
            return Err(format!("fuzz/targets has no {wanted}.rs"));
        }
        build()?;
        names = chosen;
        Ok(())
    });
    for name in &names {
        parts.part(format!("fuzz {name}"), || fuzz(name, seconds));
    }
    Some(parts.end())
}

/// The names of all targets. Each is one file.
fn targets() -> Result<Vec<String>, String> {
    let files = fs::read_dir("fuzz/targets").map_err(|error| format!("fuzz/targets: {error}"))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = files.flatten().filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    Ok(names)
}

fn folder() -> PathBuf {
    target().join("fuzz")
}

/// Builds every target with the counters that guide libFuzzer. They work with the workspace's own compiler, if unstable options
/// are allowed. A sanitizer would need another compiler, and safe code has little use for it.
fn build() -> Result<(), String> {
    let folder = folder();
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // Uses the servers that were fetched for the tests.
    let servers = folder.join("servers");
    if !servers.is_symlink() {
        symlink("../servers", &servers).map_err(|error| format!("{}: {error}", servers.display()))?;
        let real = target().join("servers");
        fs::create_dir_all(&real).map_err(|error| format!("{}: {error}", real.display()))?;
    }
    let options = ["build", "--fuzz-dir", "fuzz", "--sanitizer", "none", "--dev"];
    // Keeps to the lock file; `cargo fuzz` has no option for that.
    run(&mut cargo(&["fetch", "--locked", "--manifest-path", "fuzz/Cargo.toml"]))?;
    run(command(setup::cargo_fuzz()?, &options).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", folder))
}

/// Runs a target, starting with its seeds. New inputs stay in a folder of the target for the next run.
fn fuzz(name: &str, seconds: u32) -> Result<(), String> {
    let folder = folder();
    let (corpus, log) = (folder.join("corpus").join(name), folder.join(format!("{name}.log")));
    fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let seeds = Path::new("fuzz/seeds").join(name.split('_').next().unwrap_or(name));
    let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let ended = run(command(folder.join(host()?).join("debug").join(name), &[])
        .args([&corpus, &seeds])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{name}-", folder.display()))
        .arg("-timeout=600") // the first input waits for a server, which may be fetched first
        .stderr(file));
    let told = fs::read_to_string(&log).unwrap_or_default();
    match ended {
        Ok(()) => {
            let done = told.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("Done");
            println!("{name}: {done}, {} inputs kept", fs::read_dir(&corpus).map_or(0, Iterator::count));
            Ok(())
        }
        Err(why) => {
            let lines: Vec<&str> = told.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            Err(format!("{why}; all of it is in {}", log.display()))
        }
    }
}

/// The compiler's name for this machine.
fn host() -> Result<String, String> {
    let version = output(&mut command("rustc", &["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what it runs on".to_owned())
}
