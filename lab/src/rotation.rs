//! The work of the service after RotateSecret: four events, retries, giving up, schedules.
//!
//! Functions are attached by ARN through [`Invoke`]. This module does not know whether one is a process, a closure or something
//! else.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

use crate::secrets::{Moment, Refusal};

mod drive;
mod rotator;
mod scheduler;

pub(crate) use drive::{drive, step};
pub(crate) use rotator::Rotator;
pub(crate) use scheduler::keep_schedules;

/// A rotation function as the service sees it: it takes an event.
pub trait Invoke: Send + Sync {
    /// Invokes the function and waits for its result.
    fn invoke(&self, event: Value) -> Pin<Box<dyn Future<Output = Result<Value, InvokeError>> + Send + '_>>;
}

/// A closure that takes the event is a function, too.
impl<F, R> Invoke for F
where
    F: Fn(Value) -> R + Send + Sync,
    R: Future<Output = Result<Value, InvokeError>> + Send + 'static,
{
    fn invoke(&self, event: Value) -> Pin<Box<dyn Future<Output = Result<Value, InvokeError>> + Send + '_>> {
        Box::pin(self(event))
    }
}

/// Why an invocation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The function ran and reported an error.
    Function {
        /// Lambda's `errorType`.
        error_type: String,
        /// Lambda's `errorMessage`.
        error_message: String,
    },
    /// The function could not be run, or did not answer.
    NotInvokable(String),
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { error_type, error_message } => write!(f, "{error_type}: {error_message}"),
            Self::NotInvokable(text) => write!(f, "the function could not be invoked: {text}"),
        }
    }
}

impl std::error::Error for InvokeError {}

impl From<Refusal> for InvokeError {
    /// Turns a refusal by the lab into an error of the function that got it.
    fn from(refusal: Refusal) -> Self {
        Self::Function { error_type: refusal.kind, error_message: refusal.message }
    }
}

/// The steps of a rotation, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Make the new credential and store it.
    CreateSecret,
    /// Make the server or service accept it.
    SetSecret,
    /// Log in with it.
    TestSecret,
    /// Make it the current one.
    FinishSecret,
}

impl Step {
    /// All four, in order.
    pub const ALL: [Self; 4] = [Self::CreateSecret, Self::SetSecret, Self::TestSecret, Self::FinishSecret];

    /// The name in the event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateSecret => "createSecret",
            Self::SetSecret => "setSecret",
            Self::TestSecret => "testSecret",
            Self::FinishSecret => "finishSecret",
        }
    }
}

/// One invocation of the function.
#[derive(Clone, Debug)]
pub struct StepRun {
    /// 1 for the first try; every try begins with createSecret again.
    pub attempt: usize,
    /// The step.
    pub step: Step,
    /// When the invocation began, counted from the beginning of the rotation.
    pub at: Duration,
    /// How long the function took.
    pub duration: Duration,
    /// The result.
    pub result: Result<(), InvokeError>,
}

/// A rotation that has ended.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The secret's ARN.
    pub secret: String,
    /// The version that the rotation was to make current.
    pub token: String,
    /// Every invocation, in order.
    pub steps: Vec<StepRun>,
    /// How it ended.
    pub end: End,
}

impl Rotation {
    /// Whether the rotation succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end == End::Succeeded
    }
}

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The version is current.
    Succeeded,
    /// Every try failed; AWSPENDING stays where it is.
    GivenUp,
    /// CancelRotateSecret or the secret's deletion ended it.
    Cancelled,
}

/// An event as the service publishes it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The time by the lab's clock.
    pub at: Moment,
    /// The kind of event.
    pub kind: EventKind,
    /// The secret's ARN.
    pub secret: String,
    /// The version that the rotation makes current.
    pub token: String,
}

/// The events that the service publishes about rotations ("Secrets Manager events", CloudTrail log entries).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A rotation began.
    RotationStarted,
    /// A rotation succeeded.
    RotationSucceeded,
    /// A rotation was given up.
    RotationFailed,
    /// A rotation was cancelled.
    RotationAbandoned,
    /// A test of the configuration began (`RotateImmediately` false).
    TestRotationStarted,
    /// The test succeeded.
    TestRotationSucceeded,
    /// The test failed.
    TestRotationFailed,
}

/// How often a failed rotation is tried, and how long the lab waits between two tries.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// The number of tries; at least one is made.
    pub attempts: usize,
    /// The wait before the second try. It doubles each time.
    pub backoff: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_millis(50) }
    }
}
