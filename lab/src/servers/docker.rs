//! Servers in containers of the official images, for machines that have Docker and nothing else.
//!
//! A container uses this machine's network, the server's folder and the account, and brings only the programs. So ports, logs,
//! certificates and readiness work as without Docker. The daemon has to be on this machine. Where no registry can be reached, images
//! of the same names are made from packages (`image`). The official images themselves have not been run with this module.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::image::{self, Layer};
use super::{account, cache};

/// Whether to run servers with Docker even if they are available without it.
pub(super) fn is_forced() -> bool {
    std::env::var_os("TURNLOCK_DOCKER").is_some_and(|value| value == "1")
}

/// The server without Docker, or else with Docker if it is here. With `TURNLOCK_DOCKER=1` only with Docker.
pub(super) fn otherwise<T>(
    what: &str,
    native: impl FnOnce() -> io::Result<T>,
    container: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let container = || container().map_err(|error| io::Error::other(format!("{what} by Docker: {error}")));
    if is_forced() {
        return container();
    }
    native().or_else(|error| match answers() {
        true => container().map_err(|also| io::Error::other(format!("{error}; {also}"))),
        false => Err(error),
    })
}

/// Fetches the image, unless it is there, or makes it of these layers where no registry has it for this machine.
pub(super) fn image(name: &str, layers: impl FnOnce() -> io::Result<Vec<Layer>>) -> io::Result<()> {
    if is_there(name) {
        return Ok(());
    }
    let Err(unreached) = pull(name) else { return Ok(()) };
    // Where no daemon answers, an image would be made for nobody.
    if !answers() {
        return Err(unreached);
    }
    cache::announce(&format!("making the image {name} from packages"));
    let made = layers().and_then(|layers| image::make(name, &layers));
    made.map_err(|error| io::Error::other(format!("{unreached}; {error}")))
}

/// Whether the image is here or can be fetched.
pub(super) fn has(name: &str) -> bool {
    is_there(name) || pull(name).is_ok()
}

fn is_there(name: &str) -> bool {
    cache::run(Command::new("docker").args(["image", "inspect", "--format", "there", name])).is_ok()
}

fn pull(name: &str) -> io::Result<()> {
    cache::announce(&format!("fetching the image {name}"));
    cache::run(Command::new("docker").args(["pull", "--quiet", name])).map(drop)
}

/// The command that runs a program of an image as the account, for a server in this folder.
pub(super) fn command(image: &str, program: &str, folder: &Path) -> Vec<OsString> {
    let (user, group) = account::ids();
    let folder = folder.display();
    let options = [
        format!("--user={user}:{group}"),
        // initdb looks up the account's name.
        "--volume=/etc/passwd:/etc/passwd:ro".to_owned(),
        format!("--volume={folder}:{folder}"),
        format!("--workdir={folder}"),
        "--env=LC_ALL=C".to_owned(),
        "--env=TZ=UTC".to_owned(),
        format!("--entrypoint={program}"),
    ];
    let words = ["docker", "run", "--rm", "--interactive", "--network=host"].map(str::to_owned);
    words.into_iter().chain(options).chain([image.to_owned()]).map(OsString::from).collect()
}

/// The command that runs a server. The server writes into `log` by itself, because output through Docker's client comes too late
/// for a test that reads the log.
pub(super) fn server_command(image: &str, program: &str, folder: &Path) -> Vec<OsString> {
    let mut words = command(image, "sh", folder);
    words.extend(["-c", "exec \"$0\" \"$@\" >>log 2>&1", program].map(OsString::from));
    words
}

fn answers() -> bool {
    let version = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}
