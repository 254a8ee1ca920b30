//! Python environments, for clients and emulators that exist only there.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::cache;

/// The interpreter of an environment of this name that has these packages, made once. (The environment is moved after it was
/// made, so programs in it are to be run as `python -m`.)
pub fn python(name: &str, packages: &[&str]) -> io::Result<PathBuf> {
    let folder = cache::entry(&format!("python-{name}"), |folder| {
        cache::announce(&format!("installing {} from PyPI", packages.join(", ")));
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let install = [OsStr::new("-m"), "pip".as_ref(), "install".as_ref(), "--quiet".as_ref()];
        run(Command::new(folder.join("bin/python")).args(install).args(packages))
    })?;
    Ok(folder.join("bin/python"))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {}: {printed}", output.status)))
}
