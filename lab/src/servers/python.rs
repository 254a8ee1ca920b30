//! Python environments, for clients and emulators that exist only there.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::cache;

/// The interpreter of an environment with this name and these packages, which is made once. (The environment is moved afterwards, so
/// run its programs as `python -m`.)
pub fn python(name: &str, packages: &[&str]) -> io::Result<PathBuf> {
    let folder = cache::entry(&format!("python-{name}"), |folder| {
        cache::announce(&format!("installing {} from PyPI", packages.join(", ")));
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let install = [OsStr::new("-m"), "pip".as_ref(), "install".as_ref(), "--quiet".as_ref()];
        run(Command::new(folder.join("bin/python")).args(install).args(packages))
    })?;
    Ok(folder.join("bin/python"))
}

/// The interpreter of an environment with boto3 and the AWS CLI, the clients in the lab's tests.
///
/// # Panics
/// As [`available`] does.
pub async fn python_clients() -> Option<PathBuf> {
    let packages = ["boto3==1.44.5", "awscli==1.46.3"];
    available("boto3 and awscli", move || python("clients", &packages)).await
}

/// What `make` fetches, such as a client. If it is not available, this says so and returns `None`, provided that `ALLOW_SKIP=1` permits that.
///
/// # Panics
/// If it is not available, and that is not permitted.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub async fn available(
    what: &str,
    make: impl FnOnce() -> io::Result<PathBuf> + Send + 'static,
) -> Option<PathBuf> {
    let made = tokio::task::spawn_blocking(make);
    match made.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(made) => Some(made),
        Err(error) => {
            assert!(std::env::var_os("ALLOW_SKIP").is_some_and(|allow| allow == "1"), "{error}");
            println!("skipped: {what} could not be installed: {error}");
            None
        }
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {}: {printed}", output.status)))
}
