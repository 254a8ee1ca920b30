//! A function that has not been started yet.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::build;

/// A command, its environment and its time limit.
#[derive(Clone)]
pub struct Function {
    pub(super) name: String,
    pub(super) command: Vec<OsString>,
    pub(super) variables: BTreeMap<OsString, OsString>,
    pub(super) timeout: Duration,
}

impl Function {
    /// A function called `name` that is run by `command`: a path and its arguments.
    ///
    /// The function inherits no variable of this process's environment, and its time limit is 30 seconds.
    pub fn new(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<OsString>>) -> Function {
        Function {
            name: name.into(),
            command: command.into_iter().map(Into::into).collect(),
            variables: BTreeMap::new(),
            timeout: Duration::from_secs(30),
        }
    }

    /// Sets an environment variable. It overrides one that Lambda defines.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Function {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets the time limit of one invocation. A process that exceeds it is killed.
    pub fn timeout(mut self, timeout: Duration) -> Function {
        self.timeout = timeout;
        self
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ARN under which the function is invoked.
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:us-east-1:000000000000:function:{}", self.name)
    }

    /// The path of a workspace package's binary: in the folder that `TURNLOCK_BIN_DIR` names, or else built with Cargo, once per
    /// process.
    pub fn build(package: &str) -> io::Result<PathBuf> {
        build::binary(package)
    }
}
