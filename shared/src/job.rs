//! One invocation: the secret, the token, the deadline, and every password met on the way.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::task::JoinHandle;

use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::secret::{Scrub, Secret};
use crate::settings::Settings;
use crate::store::Store;
use crate::target::{Held, Target};
use crate::version::{Stage, Version, VersionId};

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
    /// What a target has begun for its next login (`Target::approach`).
    pub(crate) begun: RefCell<Option<Box<dyn Any>>>,
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

    /// Keeps what a target has begun, until it is asked for again or the invocation ends. It takes the place of what was begun before.
    pub fn begin<T: 'static>(&self, begun: T) {
        *self.begun.borrow_mut() = Some(Box::new(begun));
    }

    /// What was begun, if it is of this type.
    pub fn begun<T: 'static>(&self) -> Option<T> {
        self.begun.take()?.downcast().ok().map(|begun| *begun)
    }

    /// Waits for what `ends_with` was given; the sessions themselves have been dropped by now.
    pub(crate) async fn end(&self) {
        drop(self.begun.take());
        // A task that is cancelled by that lets go of its connection when it has its turn, which is now.
        tokio::task::yield_now().await;
        let tasks = self.endings.take();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        if self.deadline.within(FAREWELL, "sessions to end", all).await.is_err() {
            tracing::warn!("a database session has not ended yet; the next step may meet it and wait for it");
        }
    }

    /// Understands a version, and from then on masks what is secret in it.
    pub fn hold<T: Target>(&self, target: &T, version: Version) -> Result<Held<T::Account>> {
        for secret in target.secrets(&version.document) {
            self.scrub.learn(&secret);
        }
        let account = target.read(&version.document, self.settings)?;
        crate::log::note("strategy", target.strategy(&account).name());
        Ok(Held { id: version.id, account, document: version.document })
    }

    /// Understands what a read of AWSCURRENT brought.
    pub fn hold_current<T: Target>(
        &self,
        target: &T,
        read: Result<Option<Version>>,
    ) -> Result<Held<T::Account>> {
        let version = read?.ok_or_else(|| {
            let what = format!("no version is labelled {}", Stage::Current.name());
            Error::new(Kind::NotRotatable, what)
                .remedy("store the credential in use with PutSecretValue first")
        })?;
        self.hold(target, version)
    }

    /// Understands what a read of the token's version brought; where it brought nothing, the value may only be late.
    pub async fn hold_pending<T: Target>(
        &self,
        target: &T,
        read: Result<Option<Version>>,
    ) -> Result<Held<T::Account>> {
        let version = match read? {
            Some(version) => version,
            None => self.store.settled(&self.token).await?,
        };
        self.hold(target, version)
    }
}
