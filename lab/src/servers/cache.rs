//! The cache folder for server binaries and for fresh data folders, which are fetched or prepared once and then copied.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account;

/// The entry `name` of the cache. If it is missing, `make` fills a folder, which then becomes the entry.
///
/// If several processes want the same entry, one makes it and the others wait. An entry is either complete or absent, even if a
/// process died while it made the entry.
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

/// Says on standard error that a step takes long.
#[expect(clippy::print_stderr, reason = "a test that fetches or prepares for seconds says so")]
pub(super) fn announce(what: &str) {
    eprintln!("lab: {what}");
}

/// Runs a command that fetches or unpacks, and returns its output.
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

/// The cache's folder: `target/servers` beside this program. Without Cargo, or if the account that runs the servers may not enter
/// it, a folder of this user in `/var/tmp`.
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
    // Anyone may create folders in `/var/tmp`, and this one will hold programs to run.
    if fs::metadata(&folder)?.uid() != user {
        return Err(io::Error::other(format!("{} belongs to another user", folder.display())));
    }
    Ok(folder)
}
