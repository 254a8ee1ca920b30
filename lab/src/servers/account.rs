//! The account that servers run as: the caller's own, or `nobody` when that is root.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// `nobody` and its group have this id on every Linux distribution.
const NOBODY: u32 = 65534;

/// Whether this process is root. Database servers refuse to run as root.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The account's user and group.
pub(super) fn ids() -> (u32, u32) {
    match is_root() {
        true => (NOBODY, NOBODY),
        false => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
    }
}

/// The command prefix that runs a command as the account.
pub(super) fn prefix() -> &'static [&'static str] {
    match is_root() {
        true => &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"],
        false => &[],
    }
}

/// Gives a command the environment in which servers start. Language and time zone decide the look of logs.
pub(super) fn clean(command: &mut Command) -> &mut Command {
    // Docker's client needs these variables to find its daemon.
    let docker = env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("DOCKER_") || name == "HOME" || name == "XDG_RUNTIME_DIR"
    });
    command
        .env_clear()
        .envs(docker)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
}

/// Makes the account the owner of a file or folder that this process made.
pub(super) fn own(path: &Path) -> io::Result<()> {
    if is_root() { chown(path, Some(NOBODY), Some(NOBODY)) } else { Ok(()) }
}

/// Whether the account can reach what lies in this folder.
pub(super) fn can_enter(folder: &Path) -> bool {
    !is_root() || folder.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|it| it.mode() & 0o001 != 0))
}
