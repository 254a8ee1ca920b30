//! A server process. It ends when its value is dropped or this process ends, and its folder is removed then.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use super::account;

/// The guard's script. It starts the server and ends with it. A line on its standard input is a signal to send. The end of the input
/// means that the process that wanted the server has ended in some way. Then the guard stops the server and removes its folder.
const GUARD: &str = r#"
last_signal=$1 folder=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
(
    while read -r signal <&3; do kill -s "$signal" "$server"; done
    trap '' TERM
    kill -s "$last_signal" "$server"
    while kill -0 "$server" 2>/dev/null; do sleep 0.02; done
    rm -rf "$folder"
) 2>/dev/null & watcher=$!
wait "$server"; status=$?
kill "$watcher"
exit "$status"
"#;

pub(super) struct Daemon {
    guard: Child,
    orders: ChildStdin,
}

/// How a server is started.
pub(super) struct Start<'a> {
    /// A program and its arguments.
    pub(super) command: &'a [OsString],
    /// The folder to remove if this process dies.
    pub(super) folder: &'a Path,
    /// The file for standard output and standard error.
    pub(super) log: &'a Path,
    /// The signal that stops the server at once, for when this process dies.
    pub(super) last_signal: &'a str,
}

impl Daemon {
    pub(super) fn start(start: &Start<'_>) -> io::Result<Daemon> {
        let log = File::options().create(true).append(true).open(start.log)?;
        account::own(start.log)?;
        let mut guard = account::clean(&mut Command::new("sh"))
            .args(["-c", GUARD, "server", start.last_signal])
            .arg(start.folder)
            .args(start.command)
            .current_dir(start.folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C at the terminal must end only the tests; the guard then sees that they have ended.
            .process_group(0)
            .spawn()?;
        let orders = guard.stdin.take().expect("it was piped");
        Ok(Daemon { guard, orders })
    }

    /// How the server ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.guard.try_wait()
    }

    /// Sends a signal (`INT`, `QUIT`, ...) and returns when the server has ended.
    pub(super) fn stop(&mut self, signal: &str) -> io::Result<ExitStatus> {
        // If the server has ended already, nobody reads this line, and the wait returns at once.
        let _ = writeln!(self.orders, "{signal}");
        self.guard.wait()
    }
}
