//! Connections that are begun before it is known that they are needed: while Secrets Manager is waited for, towards where the
//! secret led the last time. Nobody is named on them and nothing is sent but TLS, so one that is not needed is only closed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rotation::database::account::Server;
use rotation::error::Result;
use rotation::job::Job;
use tokio::task::JoinHandle;

use crate::connect::{Stream, reach};

/// A server that waits for somebody to log in loses its patience at some time (PostgreSQL manual, `authentication_timeout`), so what
/// is older is not used.
const FRESH: Duration = Duration::from_secs(1);

/// Where this process has logged in last, and for which secret. The steps of a rotation usually reach the same process; where they
/// do not, nothing is begun early.
static LAST: Mutex<Option<(String, Server)>> = Mutex::new(None);

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

/// A login was accepted there.
pub fn remember(job: &Job<'_>, server: &Server) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((job.store.name().to_owned(), server.clone()));
}

/// Begins to connect: there, or where this secret led the last time.
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

/// The connection that was begun, if it leads there.
pub(crate) async fn take(job: &Job<'_>, server: &Server) -> Option<Result<Stream>> {
    let mut ahead = job.begun::<Ahead>()?;
    if ahead.server != *server || ahead.since.elapsed() > FRESH {
        return None;
    }
    (&mut ahead.task).await.ok()
}
