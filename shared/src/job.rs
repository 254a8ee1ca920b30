//! One invocation: the secret, the token, the deadline, and every password met on the way.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::task::JoinHandle;

use crate::deadline::Deadline;
use crate::secret::{Scrub, Secret};
use crate::settings::Settings;
use crate::store::Store;
use crate::version::VersionId;

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
    /// What has to be over before the invocation is.
    pub(crate) endings: RefCell<Vec<JoinHandle<()>>>,
}

/// Saying goodbye to a server that still listens takes a moment; to one that does not, no longer than this.
const FAREWELL: Duration = Duration::from_secs(1);

impl Job<'_> {
    /// Keeps the invocation from ending before a connection's task has. Lambda freezes the process between invocations, and
    /// a connection that was not closed by then would keep its lock.
    pub fn ends_with(&self, task: JoinHandle<()>) {
        self.endings.borrow_mut().push(task);
    }

    /// Waits for what `ends_with` was given; the sessions themselves have been dropped by now.
    pub(crate) async fn end(&self) {
        // The task of an early connection that was given up ends when it has its turn, which is now.
        tokio::task::yield_now().await;
        let tasks = self.endings.take();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        let _ = self.deadline.within(FAREWELL, "connections to close", all).await;
    }
}
