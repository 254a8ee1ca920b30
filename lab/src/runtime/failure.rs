//! The ways in which an invocation fails.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why an invocation has no result.
#[derive(Debug)]
pub enum InvokeError {
    /// The function answered with an error.
    Function(FunctionError),
    /// The process ended before it answered.
    Died {
        /// The exit status.
        status: ExitStatus,
    },
    /// The process did not answer in time, and was killed.
    TimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// No process could be started.
    NotStarted(io::Error),
}

/// An error as a function reports it to Lambda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// `errorType` of the report.
    pub error_type: String,
    /// `errorMessage` of the report.
    pub error_message: String,
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvokeError::Function(error) => write!(f, "{}: {}", error.error_type, error.error_message),
            InvokeError::Died { status } => {
                write!(f, "the function's process ended without an answer ({status})")
            }
            InvokeError::TimedOut { limit } => {
                write!(f, "the function did not answer within {limit:?} and was killed")
            }
            InvokeError::NotStarted(_) => f.write_str("the function's process could not be started"),
        }
    }
}

impl std::error::Error for InvokeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            InvokeError::NotStarted(error) => Some(error),
            InvokeError::Function(_) | InvokeError::Died { .. } | InvokeError::TimedOut { .. } => None,
        }
    }
}
