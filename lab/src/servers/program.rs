//! A server's program, and how to run it: on this machine, or in a container that sees only the parts of the machine that it needs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::account;
use super::docker;

/// A program that is run as the account of [`account`].
#[derive(Clone)]
pub(super) enum Program {
    /// With this command.
    Native(Vec<OsString>),
    /// In a container of this image, with this program name.
    Container { image: String, name: &'static str },
}

impl Program {
    /// The command that runs this server in its folder; its arguments follow.
    pub(super) fn server_command(&self, folder: &Path) -> Vec<OsString> {
        match self {
            Program::Native(words) => native(words),
            Program::Container { image, name } => docker::server_command(image, name, folder),
        }
    }

    /// Runs the program to its end. If it fails, the error has its output.
    pub(super) fn run(&self, arguments: &[OsString], folder: &Path, input: Stdio) -> io::Result<()> {
        let words = match self {
            Program::Native(words) => native(words),
            Program::Container { image, name } => docker::command(image, name, folder),
        };
        let mut command = Command::new(&words[0]);
        let command = account::clean(&mut command).args(&words[1..]).args(arguments);
        let output = command.current_dir(folder).stdin(input).output()?;
        if output.status.success() {
            return Ok(());
        }
        let line = words.join(OsStr::new(" "));
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{}: {}\n{printed}", line.display(), output.status)))
    }

    /// A signal that ends the program at once. Docker's client passes on every signal except SIGKILL.
    pub(super) fn last_signal(&self) -> &'static str {
        match self {
            Program::Native(_) => "KILL",
            Program::Container { .. } => "TERM",
        }
    }
}

fn native(words: &[OsString]) -> Vec<OsString> {
    account::prefix().iter().map(OsString::from).chain(words.iter().cloned()).collect()
}
