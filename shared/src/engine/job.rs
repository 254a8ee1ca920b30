//! One invocation: the secret, the token, the deadline, and every password met on the way.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::task::JoinHandle;

use crate::deadline::Deadline;
use crate::engine::store::Store;
use crate::secret::{Scrub, Secret};
use crate::value::settings::Settings;
use crate::value::version::VersionId;

/// What the steps and the targets share.
pub struct Job<'a> {
    /// Secrets Manager, for this secret.
    pub store: Store,
    /// What the deployment decided.
    pub settings: &'a Settings,
    /// For look-ups in other services (`rds.rs`).
    pub aws: &'a SdkConfig,
    /// When this invocation has to be over.
    pub deadline: Deadline,
    /// Every password met so far.
    pub scrub: Arc<Scrub>,
    /// The version that is being made.
    pub token: VersionId,
    /// Forwarded to PutSecretValue.
    pub authority: Option<Secret>,
    /// Servers behind other names, each looked up once: the name, and the host and port of the server.
    pub looked_up: RefCell<Vec<(String, (String, u16))>>,
    /// What has to be over before the invocation is.
    pub(crate) endings: RefCell<Vec<JoinHandle<()>>>,
}

/// A server ends a session within a moment of our goodbye. One that is too busy for that, or gone, is waited for no longer than this.
const FAREWELL: Duration = Duration::from_secs(1);

impl Job<'_> {
    /// Keeps the invocation from ending before a connection's task has. Lambda freezes the process between invocations, so a
    /// connection that is still open then keeps its lock. A task ends when the server has ended the session: the next step must
    /// not meet it there.
    pub fn ends_with(&self, task: JoinHandle<()>) {
        self.endings.borrow_mut().push(task);
    }

    /// Waits for what `ends_with` was given; the sessions themselves have been dropped by now.
    pub(crate) async fn end(&self) {
        // An early connection that was given up ends in a task of its own. This lets that task run.
        tokio::task::yield_now().await;
        all_end(self.deadline, self.endings.take()).await;
    }
}

/// Waits until the tasks have ended. A task that takes too long is stopped, which closes its connection: a server that never ends a
/// session must not keep one socket more with every step.
async fn all_end(deadline: Deadline, mut tasks: Vec<JoinHandle<()>>) {
    let all = async {
        for task in &mut tasks {
            let _ = task.await;
        }
    };
    if deadline.within(FAREWELL, "sessions to end", all).await.is_err() {
        tracing::warn!("a database session has not ended yet; the next step may meet it and wait for it");
        tasks.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_session_that_never_ends_is_closed_in_time() {
        let socket = Arc::new(());
        let held = Arc::clone(&socket);
        let session = tokio::spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        all_end(Deadline::after(Duration::from_millis(20)), vec![tokio::spawn(async {}), session]).await;
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&socket), 1, "the task still holds the socket");
    }
}
