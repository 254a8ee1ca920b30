//! Describes the machine and the time of a measurement.

use std::fs;
use std::process::Command;

/// The processor, how many of it, memory, kernel.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = memory.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0);
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("{count} x {model}, {} GB, Linux {}", kilobytes / 1_000_000, output("uname", &["-r"]))
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// Today, in UTC.
pub(crate) fn date() -> String {
    output("date", &["--utc", "+%Y-%m-%d"])
}

/// The commit that the tree is at, and whether it has changed since.
pub(crate) fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let changed =
        !output("git", &["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"]).is_empty();
    if changed { format!("{commit}, with changes") } else { commit }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
