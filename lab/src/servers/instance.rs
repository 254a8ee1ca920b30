//! One server's life, whatever its kind: a folder, a port, a start that waits for readiness, a stop.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Start};
use super::folder::Folder;

/// A server that starts in a second or two is given up after this.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Says what to run, given a folder and a port.
type Command = dyn Fn(&Path, u16) -> Vec<OsString> + Send + Sync;

/// What differs between kinds of servers.
pub(super) struct Plan {
    /// For messages.
    pub(super) name: String,
    /// The command that runs the server in this folder, on this port.
    pub(super) command: Box<Command>,
    /// Whether the server takes connections, told from its folder and what it has logged since its start. (A try to
    /// connect would not tell: another server may have been faster in taking the port.)
    pub(super) is_ready: fn(&Path, &str) -> bool,
    /// The signal that stops the server in order.
    pub(super) stop_signal: &'static str,
    /// The signal that stops it at once, for when nobody needs its data any more.
    pub(super) last_signal: &'static str,
}

/// A server that was laid out, and its process if it runs.
pub(super) struct Instance {
    plan: Plan,
    port: u16,
    daemon: Option<Daemon>,
    /// Last, so that it goes last.
    folder: Folder,
}

impl Instance {
    pub(super) fn new(plan: Plan, folder: Folder) -> Instance {
        Instance { plan, port: 0, daemon: None, folder }
    }

    /// The port of its first start.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// A file in its folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the server prints.
    pub(super) fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// Starts the server, on a new port the first time, and waits until it takes connections.
    pub(super) async fn start(&mut self) -> io::Result<()> {
        if self.port != 0 {
            return self.start_on(self.port).await;
        }
        loop {
            // The port is free now; a server cannot be given the socket itself, so another process may be faster.
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match self.start_on(port).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                result => {
                    self.port = port;
                    return result;
                }
            }
        }
    }

    async fn start_on(&mut self, port: u16) -> io::Result<()> {
        let log = self.log();
        let logged_before = fs::metadata(&log).map_or(0, |file| file.len()) as usize;
        let logged = || {
            let bytes = fs::read(&log).unwrap_or_default();
            String::from_utf8_lossy(bytes.get(logged_before..).unwrap_or_default()).into_owned()
        };
        let mut daemon = Daemon::start(&Start {
            command: &(self.plan.command)(self.folder.path(), port),
            folder: self.folder.path(),
            log: &log,
            last_signal: self.plan.last_signal,
        })?;
        let started = Instant::now();
        while !(self.plan.is_ready)(self.folder.path(), &logged()) {
            if let Some(status) = daemon.ended()? {
                return Err(self.did_not_start(&status.to_string(), &logged()));
            }
            if started.elapsed() > START_LIMIT {
                daemon.stop(self.plan.last_signal)?;
                return Err(self.did_not_start("it did not take connections in time", &logged()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.daemon = Some(daemon);
        Ok(())
    }

    fn did_not_start(&self, why: &str, log: &str) -> io::Error {
        let kind = match log.contains("Address already in use") {
            true => io::ErrorKind::AddrInUse,
            false => io::ErrorKind::Other,
        };
        io::Error::new(kind, format!("{} did not start: {why}; its log:\n{log}", self.plan.name))
    }

    /// Stops the server in order, if it runs.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        match self.daemon.take() {
            Some(mut daemon) => daemon.stop(self.plan.stop_signal).map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.stop(self.plan.last_signal);
        }
    }
}
