//! Set, verify, compensate. Where the account in use gets another password, a server that stores the password and then refuses it would
//! lock everybody out. So pending logs in while the session that can write is still open; if the server refuses pending, that session
//! sets the password back that it was opened with.

use std::time::Duration;

use crate::engine::credential::Credential;
use crate::engine::job::Job;
use crate::engine::ladder;
use crate::engine::parse;
use crate::engine::target::Target;
use crate::error::{Error, Kind, Result};
use crate::value::version::{Parsed, Stage};

/// How long a look at AWSCURRENT may keep a refused account waiting for its old password.
const GLANCE: Duration = Duration::from_secs(2);

/// A change that has just been made to the account in use.
pub struct Changed<'a, T: Target> {
    /// The target that made it.
    pub target: &'a T,
    /// The invocation.
    pub job: &'a Job<'a>,
    /// The admin, if the account cannot act for itself.
    pub admin: Option<&'a T::Admin>,
    /// The version in use.
    pub current: &'a Parsed<T::Account>,
    /// The version that the server has been told to accept.
    pub pending: &'a Parsed<T::Account>,
    /// The version that opened the session which made the change; `None` after a reset, when no version did.
    pub opened: Option<&'a Parsed<T::Account>>,
}

impl<T: Target> Changed<'_, T> {
    /// Logs in as pending. If the server refuses that, the version before is made good again, and the refusal is the error.
    pub async fn verify(&self, writer: &mut T::Writer) -> Result<()> {
        let Err(refusal) = self.logs_in(self.pending).await else { return Ok(()) };
        if !refusal.is_refusal() {
            // Whether pending works is not known, so a password that may be in use already stays.
            return Err(refusal);
        }
        let Some(opened) = self.opened else {
            return Err(refusal.cause("nothing was set back, because no version had logged in before"));
        };
        if self.is_overtaken().await {
            return Err(
                refusal.cause("AWSCURRENT has moved to a version that logs in, so nothing was set back")
            );
        }
        tracing::warn!(
            version = opened.id.as_str(),
            "the server refuses pending; the password before is set back"
        );
        let back = self.target.put_back(self.job, writer, self.admin, self.current, opened).await;
        if refusal.is_full() {
            // The login that would show it finds no session either, while the writer has one.
            return Err(
                back.map_or_else(|left| lost(&refusal, opened, &left), |()| crowded(&refusal, opened))
            );
        }
        let proven = match back {
            Ok(()) => self.logs_in(opened).await,
            Err(left) => Err(left),
        };
        Err(proven.map_or_else(|left| lost(&refusal, opened, &left), |()| refused(&refusal, opened)))
    }

    async fn logs_in(&self, version: &Parsed<T::Account>) -> Result<()> {
        ladder::prove_on(self.target, self.job, version, self.admin).await.map(drop)
    }

    /// Whether another rotation has been promoted meanwhile, whose password must not be undone. No lock lets that happen; some servers
    /// have none.
    async fn is_overtaken(&self) -> bool {
        let Self { target, job, current, .. } = *self;
        let look = job.store.labelled(Stage::Current);
        let Ok(Ok(Some(now))) = job.deadline.within(GLANCE, "a look at AWSCURRENT", look).await else {
            return false;
        };
        if now.id == current.id {
            return false;
        }
        match parse::older(target, job, current, Ok(Some(now))) {
            Ok(Some(now)) => self.logs_in(&now).await.is_ok(),
            _ => false,
        }
    }
}

/// Everything is as it was before the step.
fn refused<A: Credential>(refusal: &Error, opened: &Parsed<A>) -> Error {
    let what = format!(
        "the server took the new password and refused the login with it; the password of version {} is set back and logs in",
        opened.id
    );
    Error::new(refusal.kind(), what).cause(refusal.story()).remedy(
        "a rule of the server lets this user in with the password before and not with a new one: see its words; look at the \
         authentication method, at an expiry or a certificate that the account needs, and at poolers or proxies that keep passwords of \
         their own; mend that and rotate again",
    )
}

/// Everything is as it was before the step. The server has said nothing against the password.
fn crowded<A: Credential>(refusal: &Error, opened: &Parsed<A>) -> Error {
    let what = format!(
        "the new password could not show that it works, so the password of version {} is set back",
        opened.id
    );
    Error::new(refusal.kind(), what).cause(refusal.story()).remedy(refusal.advice())
}

/// The account may be locked out.
fn lost<A: Credential>(refusal: &Error, opened: &Parsed<A>, left: &Error) -> Error {
    let what = format!("the password of version {} was to be set back, and it does not log in", opened.id);
    Error::new(Kind::LockedOut, what)
        .cause(left.story())
        .cause(format!("before that, the server had taken the new password and refused it: {}", refusal.story()))
        .remedy(format!(
            "set the user's password on the server to the one in version {}, let that user in again, and rotate again",
            opened.id
        ))
}
