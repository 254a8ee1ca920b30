//! Runs commands to their end. If one fails, the error names it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// A command without standard input, so that nothing here can wait for a person.
pub(crate) fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The Cargo that started this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// The folder in which Cargo builds.
pub(crate) fn target() -> PathBuf {
    let top = env::current_dir().expect("main has entered it");
    top.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Runs a command with this program's output.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| failed(command, &error.to_string()))?;
    succeeded(command, status)
}

/// Runs a command and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| failed(command, &error.to_string()))?;
    succeeded(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command, passes its standard output on line by line, and gives each line to `see` as well.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<(), String> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| failed(command, &error.to_string()))?;
    let stdout = child.stdout.take().expect("it was piped");
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.map_err(|error| failed(command, &error.to_string()))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        see(&line);
    }
    let status = child.wait().map_err(|error| failed(command, &error.to_string()))?;
    succeeded(command, status)
}

/// Whether a program starts and succeeds. Its output is not shown.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    let status = command(program, arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(failed(command, &status.to_string())) }
}

fn failed(command: &Command, why: &str) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("{}: {why}", words.join(" "))
}

/// Copies the files of the tree, with their uncommitted changes, to another folder.
pub(crate) fn copy_tree(to: &Path) -> Result<(), String> {
    let listed = output(&mut command("git", &["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    for file in listed.lines().filter(|file| Path::new(file).exists()) {
        let copy = to.join(file);
        let failed = |error: io::Error| format!("{file}: {error}");
        fs::create_dir_all(copy.parent().ok_or("a file is in a folder")?).map_err(failed)?;
        fs::copy(file, copy).map_err(failed)?;
    }
    Ok(())
}
