//! The folder that keeps what was fetched or prepared once: server binaries and fresh data folders to copy.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account;

/// The entry `name` of the cache; if it is not there, `make` fills a folder that then becomes it.
///
/// Of several processes that want the same entry one makes it and the others wait for it. An entry is there whole
/// or not at all, wherever a try broke off.
pub(super) fn entry(name: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    let folder = folder()?;
    let entry = folder.join(name);
    if entry.exists() {
        return Ok(entry);
    }
    let lock = File::create(folder.join(format!("{name}.lock")))?;
    lock.lock()?;
    if entry.exists() {
        return Ok(entry);
    }
    let part = folder.join(format!("{name}.part"));
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fs::create_dir(&part)?;
    make(&part)?;
    fs::rename(&part, &entry)?;
    Ok(entry)
}

/// Says on standard error what takes long.
#[expect(clippy::print_stderr, reason = "a test that fetches or prepares for seconds says so")]
pub(super) fn announce(what: &str) {
    eprintln!("lab: {what}");
}

/// Runs a command that fetches or unpacks, and gives what it printed.
pub(super) fn run(command: &mut Command) -> io::Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run {program}: {error}")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let printed = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(format!("{program}: {}\n{printed}", output.status)))
        }
    }
}

/// `target/servers`, found from where Cargo put this very program; without Cargo, or where the account that runs the
/// servers may not go, a folder of this user's in `/var/tmp`.
fn folder() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    // Cargo marks its target folder with this file.
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    if let Some(target) = target.filter(|target| account::can_enter(target)) {
        let folder = target.join("servers");
        fs::create_dir_all(&folder)?;
        return Ok(folder);
    }
    let user = rustix::process::geteuid().as_raw();
    let folder = PathBuf::from(format!("/var/tmp/turnlock-servers-{user}"));
    fs::create_dir_all(&folder)?;
    // Programs are started from here, and anyone may make folders there.
    if fs::metadata(&folder)?.uid() != user {
        return Err(io::Error::other(format!("{} belongs to another user", folder.display())));
    }
    Ok(folder)
}
