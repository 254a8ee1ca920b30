//! Early connections. While a step waits for Secrets Manager, the function already connects to the server that the secret named
//! the last time. Only TLS goes over an early connection, never a user's name, so an unneeded one is simply closed.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::account::Server;
use crate::deadline::Deadline;
use crate::engine::job::Job;
use crate::error::Result;

/// The oldest early connection that a login still uses. A server closes a connection on which nobody logs in (PostgreSQL manual,
/// `authentication_timeout`).
const FRESH: Duration = Duration::from_secs(1);

/// The early connections of a dialect; `()` makes none.
pub trait Early {
    /// Begins to connect to this server; without one, to the server of the last login for the same secret.
    fn approach(&self, job: &Job<'_>, server: Option<&Server>);

    /// Notes that a login was accepted on this server.
    fn remember(&self, job: &Job<'_>, server: &Server);

    /// Gives up a connection that nobody has used.
    fn give_up(&self);
}

impl Early for () {
    fn approach(&self, _: &Job<'_>, _: Option<&Server>) {}
    fn remember(&self, _: &Job<'_>, _: &Server) {}
    fn give_up(&self) {}
}

/// A connection in the making.
pub type Reaching<S> = Pin<Box<dyn Future<Output = Result<S>> + Send>>;

/// The early connections of one target: a field of it, so that they live as long as the process.
pub struct Ahead<S> {
    reach: fn(Deadline, Server) -> Reaching<S>,
    /// The secret and the server of the process's last login. Lambda usually sends all steps of a rotation to one process; a process
    /// that has never logged in connects to no server early.
    last: RefCell<Option<(String, Server)>>,
    begun: RefCell<Option<Begun<S>>>,
}

/// An early connection, and the server that it leads to.
struct Begun<S> {
    server: Server,
    since: Instant,
    task: JoinHandle<Result<S>>,
}

impl<S> Drop for Begun<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S> Ahead<S> {
    /// `reach` connects to a server, and stops where somebody would log in.
    pub fn new(reach: fn(Deadline, Server) -> Reaching<S>) -> Ahead<S> {
        Ahead { reach, last: RefCell::default(), begun: RefCell::default() }
    }

    /// The early connection, if it leads to this server and is fresh.
    pub async fn take(&self, server: &Server) -> Option<Result<S>> {
        let mut begun = self.begun.take()?;
        if begun.server != *server || begun.since.elapsed() > FRESH {
            return None;
        }
        (&mut begun.task).await.ok()
    }
}

impl<S: Send + 'static> Early for Ahead<S> {
    fn approach(&self, job: &Job<'_>, server: Option<&Server>) {
        let last = || {
            let last = self.last.borrow();
            last.as_ref().filter(|(secret, _)| secret == job.store.name()).map(|(_, server)| server.clone())
        };
        let Some(server) = server.cloned().or_else(last) else { return };
        let task = tokio::spawn((self.reach)(job.deadline, server.clone()));
        self.begun.replace(Some(Begun { server, since: Instant::now(), task }));
    }

    fn remember(&self, job: &Job<'_>, server: &Server) {
        self.last.replace(Some((job.store.name().to_owned(), server.clone())));
    }

    fn give_up(&self) {
        self.begun.take();
    }
}
