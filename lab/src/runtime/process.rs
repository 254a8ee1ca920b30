//! A child process that any thread can kill, wait for and measure. It never outlives its value.

use std::fs;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use tokio::sync::watch;

use crate::lock::locked;

pub(crate) struct Process {
    id: u32,
    /// Knows whether the process was waited for, so that no signal hits another process with its id. The condition signals its
    /// end.
    child: Arc<(Mutex<Child>, Condvar)>,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Waits for the end on its own thread, which works in any async runtime, and after it.
    waiter: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Process> {
        let child = command.spawn().map_err(|error| {
            let program = command.get_program().display();
            io::Error::new(error.kind(), format!("cannot start {program}: {error}"))
        })?;
        let (id, child) = (child.id(), Arc::new((Mutex::new(child), Condvar::new())));
        let (end, ended) = watch::channel(None);
        let same_child = Arc::clone(&child);
        let waiter = thread::spawn(move || {
            wait_until_dead(id);
            let (child, condition) = &*same_child;
            let mut child = locked(child);
            end.send_replace(Some(child.wait().expect("a child that nobody else waits for")));
            condition.notify_all();
        });
        Ok(Process { id, child, ended, waiter: Some(waiter) })
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&self) -> ExitStatus {
        let status = *self.ended.clone().wait_for(Option::is_some).await.expect("the waiter leaves a status");
        status.expect("it was waited for")
    }

    /// The exit status, if the process has ended.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Sends SIGKILL, unless the process has ended, and returns when it is dead.
    pub(crate) fn kill(&self) {
        let (child, condition) = &*self.child;
        let mut child = locked(child);
        // An error means that the process is dead.
        let _ = child.kill();
        while self.status().is_none() {
            child = condition.wait(child).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The most memory it has held so far, in bytes, while it lives (`VmHWM`, proc_pid_status(5)).
    pub(crate) fn memory_peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        if self.status().is_some() {
            return None; // The id may have belonged to another process by then.
        }
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(kilobytes.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }

    /// The processor time of its living threads so far, while the process lives (the first number of `schedstat`).
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id)).ok()?;
        let nanoseconds = threads.flatten().filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        let sum = Duration::from_nanos(nanoseconds.sum());
        self.status().is_none().then_some(sum)
    }
}

/// Returns when a child is dead, and leaves it in the process table.
fn wait_until_dead(id: u32) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).expect("the id of a process");
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(rustix::process::waitid(WaitId::Pid(id), options), Err(Errno::INTR)) {}
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
    }
}
