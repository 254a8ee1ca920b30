//! The life of one server of any kind: a folder, a port, a start that waits for readiness, a stop.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Start};
use super::folder::Folder;

/// The time limit for a start. A server usually needs a second or two.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The command for a folder and a port.
type Command = dyn Fn(&Path, u16) -> Vec<OsString> + Send + Sync;

/// The differences between kinds of servers.
pub(super) struct Plan {
    /// The name in messages.
    pub(super) name: String,
    /// The command that runs the server in this folder, on this port.
    pub(super) command: Box<Command>,
    /// Whether the server takes connections, judged by its folder and by its log since the start. (A connection would prove nothing,
    /// because another server may have taken the port first.)
    pub(super) is_ready: fn(&Path, &str) -> bool,
    /// The signal that stops the server in order.
    pub(super) stop_signal: &'static str,
    /// The signal that stops the server at once, when its data is no longer needed.
    pub(super) last_signal: &'static str,
}

/// A server that was laid out, and its process if it runs.
pub(super) struct Instance {
    plan: Plan,
    port: u16,
    daemon: Option<Daemon>,
    /// The last field, so that it is dropped last.
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

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// Starts the server, on a new port the first time, and waits until it takes connections.
    pub(super) async fn start(&mut self) -> io::Result<()> {
        if self.port != 0 {
            return self.start_on(self.port).await;
        }
        loop {
            // The port is free now. Another process may still take it first, because a server cannot be given the socket itself.
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
