//! A local Lambda: starts any process that speaks the runtime API, and calls it; knows nothing of what the process does.
//!
//! As in Lambda, one process handles one invocation at a time, is used again afterwards, and is joined by a second
//! one when a call comes while it is busy. A process that died is replaced at the next call, one that is over its
//! time is killed, and each sees a clean environment with the variables of Lambda's page "Defined runtime
//! environment variables".

mod api;
mod build;
mod environment;
mod process;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;

use environment::{Environment, Instance};

/// What is to be started: a command, its environment, its time limit.
#[derive(Clone)]
pub struct Function {
    name: String,
    command: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    timeout: Duration,
}

impl Function {
    /// A function called `name` that is run by `command`: a path and its arguments.
    ///
    /// Nothing of this process's environment reaches it, and its time limit is 30 seconds.
    pub fn new(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<OsString>>) -> Function {
        Function {
            name: name.into(),
            command: command.into_iter().map(Into::into).collect(),
            variables: BTreeMap::new(),
            timeout: Duration::from_secs(30),
        }
    }

    /// Sets an environment variable, those that Lambda defines included.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Function {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets how long one invocation may take before the process is killed.
    pub fn timeout(mut self, timeout: Duration) -> Function {
        self.timeout = timeout;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ARN that the function is told to have.
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:us-east-1:000000000000:function:{}", self.name)
    }

    /// Starts the first process. What it does from then on, dying included, is the answer to an invocation.
    pub async fn start(self) -> io::Result<RunningFunction> {
        let running = RunningFunction {
            output: tempfile::tempfile()?,
            idle: Mutex::default(),
            instances: Mutex::default(),
            starts: AtomicUsize::new(0),
            memory_peak: AtomicU64::new(0),
            function: self,
        };
        let first = running.start_environment().await?;
        locked(&running.idle).push(first);
        Ok(running)
    }

    /// The path of a workspace package's binary: in the folder that `TURNLOCK_BIN_DIR` names, or built with Cargo,
    /// once in the life of this process.
    pub fn build(package: &str) -> io::Result<PathBuf> {
        build::binary(package)
    }
}

/// A function that can be invoked. Dropping it kills its processes and waits for their end.
pub struct RunningFunction {
    function: Function,
    /// A file and no pipe: what a process wrote before it answered or died is there to be read at once.
    output: File,
    idle: Mutex<Vec<Environment>>,
    /// Every process started, as long as it lives; the newest last.
    instances: Mutex<Vec<Weak<Instance>>>,
    starts: AtomicUsize,
    memory_peak: AtomicU64,
}

impl RunningFunction {
    /// Calls the function and waits for its answer. Dropping this future kills the process that was called.
    pub async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let timeout = self.function.timeout;
        loop {
            let idle = locked(&self.idle).pop();
            let is_new = idle.is_none();
            let mut environment = match idle {
                Some(environment) => environment,
                None => self.start_environment().await.map_err(InvokeError::NotStarted)?,
            };
            let next = match environment.next().await {
                Ok(next) => next,
                // It died, or went silent, before this invocation: that is nobody's failure, a new one is tried.
                Err(_) if !is_new => continue,
                Err(error) => return Err(error),
            };
            let answer = environment.call(next, &event, timeout).await;
            self.record_memory(&environment.instance);
            if !matches!(answer, Err(InvokeError::Died { .. } | InvokeError::TimedOut { .. })) {
                locked(&self.idle).push(environment);
            }
            return answer;
        }
    }

    /// The ARN that the function is told to have.
    pub fn arn(&self) -> String {
        self.function.arn()
    }

    /// Kills every process of this function with SIGKILL, and returns when they are dead.
    pub fn kill(&self) {
        for instance in self.living() {
            self.record_memory(&instance);
            instance.process.kill();
        }
    }

    /// All that its processes wrote to standard output and standard error so far.
    pub fn output(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = File::try_clone(&self.output).and_then(|mut file| {
            file.rewind()?;
            file.read_to_end(&mut bytes)
        });
        read.expect("a file of our own can be read");
        bytes
    }

    /// How long the newest process took from its start until it asked for work; none if it has not asked yet.
    pub fn ready_after(&self) -> Option<Duration> {
        self.living().last().and_then(|instance| instance.api.ready_after())
    }

    /// How many processes were started until now, that is, how many cold starts there were.
    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    /// The most memory in bytes that one of its processes held, seen at the end of each invocation and now.
    pub fn memory_peak(&self) -> u64 {
        for instance in self.living() {
            self.record_memory(&instance);
        }
        self.memory_peak.load(Ordering::SeqCst)
    }

    /// How long the threads of its living processes were on a processor until now.
    pub fn processor_time(&self) -> Duration {
        self.living().iter().filter_map(|instance| instance.process.processor_time()).sum()
    }

    async fn start_environment(&self) -> io::Result<Environment> {
        let environment = Environment::start(&self.function, &self.output).await?;
        self.starts.fetch_add(1, Ordering::SeqCst);
        locked(&self.instances).push(Arc::downgrade(&environment.instance));
        Ok(environment)
    }

    fn living(&self) -> Vec<Arc<Instance>> {
        let mut instances = locked(&self.instances);
        instances.retain(|instance| instance.strong_count() > 0);
        instances.iter().filter_map(Weak::upgrade).collect()
    }

    fn record_memory(&self, instance: &Instance) {
        self.memory_peak.fetch_max(instance.process.memory_peak().unwrap_or(0), Ordering::SeqCst);
    }
}

/// Why an invocation has no result.
#[derive(Debug)]
pub enum InvokeError {
    /// The function answered with an error.
    Function(FunctionError),
    /// The process ended before it answered.
    Died {
        /// How it ended.
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

/// Locks; a panic elsewhere while it was locked leaves nothing half done in what this crate keeps in a mutex.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
