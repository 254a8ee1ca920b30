//! `cargo xtask fuzz`: what reads foreign bytes reads random ones, each target for a while.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::{cargo, command, output, run, target};
use crate::parts::Parts;
use crate::setup;

/// How long a target runs unless told: by hand, and in CI, where it shows that the target still works.
const SECONDS: u32 = 60;
const SMOKE: u32 = 10;

/// `--smoke`, or `--seconds N`, or nothing; then a target, or all of them.
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

/// The names of all targets: one for each file.
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

/// Builds every target, with the counters that libFuzzer steers by. Those need no other compiler than the workspace's, only its
/// permission to use options that are not stable; a sanitizer, which safe code has little use for, would.
fn build() -> Result<(), String> {
    let folder = folder();
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // Servers that were fetched for the tests are taken from there.
    let servers = folder.join("servers");
    if !servers.is_symlink() {
        symlink("../servers", &servers).map_err(|error| format!("{}: {error}", servers.display()))?;
        let real = target().join("servers");
        fs::create_dir_all(&real).map_err(|error| format!("{}: {error}", real.display()))?;
    }
    let options = ["build", "--fuzz-dir", "fuzz", "--sanitizer", "none", "--dev"];
    // The lock file holds, as everywhere; `cargo fuzz` has no option for that.
    run(&mut cargo(&["fetch", "--locked", "--manifest-path", "fuzz/Cargo.toml"]))?;
    run(command(setup::cargo_fuzz()?, &options).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", folder))
}

/// Runs a target from its seeds on. What it finds new stays in a folder of its own, for the next time.
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
        .arg("-timeout=600") // the first input waits for a server, which may have to be fetched
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
