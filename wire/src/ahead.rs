//! Early connections. While a step waits for Secrets Manager, the function already connects to the server that the secret named
//! the last time. Only TLS goes over an early connection, never a user's name, so an unneeded one is simply closed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rotation::database::account::Server;
use rotation::error::Result;
use rotation::job::Job;
use tokio::task::JoinHandle;

use crate::stream::{Stream, reach};

/// The oldest early connection that a login still uses. A server closes a connection on which nobody logs in (PostgreSQL manual,
/// `authentication_timeout`).
const FRESH: Duration = Duration::from_secs(1);

/// The secret and the server of this process's last login. Lambda usually sends all steps of a rotation to one process; a process
/// that has never logged in connects to no server early.
static LAST: Mutex<Option<(String, Server)>> = Mutex::new(None);

/// An early connection, and the server that it leads to.
struct Ahead {
    server: Server,
    since: Instant,
    task: JoinHandle<Result<Stream>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Notes that a login was accepted on this server.
pub fn remember(job: &Job<'_>, server: &Server) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((job.store.name().to_owned(), server.clone()));
}

/// Begins to connect to this server; without one, to the server of the last login for the same secret.
pub fn approach(job: &Job<'_>, server: Option<&Server>) {
    let last = || {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(secret, _)| secret == job.store.name()).map(|(_, server)| server.clone())
    };
    let Some(server) = server.cloned().or_else(last) else { return };
    let (deadline, to) = (job.deadline, server.clone());
    let task = tokio::spawn(async move { reach(deadline, &to).await });
    job.begin(Ahead { server, since: Instant::now(), task });
}

/// The early connection, if it leads to this server and is fresh.
pub(crate) async fn take(job: &Job<'_>, server: &Server) -> Option<Result<Stream>> {
    let mut ahead = job.begun::<Ahead>()?;
    if ahead.server != *server || ahead.since.elapsed() > FRESH {
        return None;
    }
    (&mut ahead.task).await.ok()
}
