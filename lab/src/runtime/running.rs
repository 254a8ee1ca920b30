//! A function that has been started: its processes and calls.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::Value;

use super::environment::{Environment, Instance};
use super::failure::InvokeError;
use super::function::Function;
use crate::lock::locked;

impl Function {
    /// Starts the first process. Whatever that process does later, even dying, counts as its answer to an invocation.
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
}

/// A function that can be invoked. Dropping it kills its processes and waits for their end.
pub struct RunningFunction {
    function: Function,
    /// A file instead of a pipe: the output can be read as soon as the process has answered or died.
    output: File,
    idle: Mutex<Vec<Environment>>,
    /// Every living process, the newest last.
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
                // The idle process died or hung before this invocation, so a new process is tried instead.
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

    /// The ARN under which the function is invoked.
    pub fn arn(&self) -> String {
        self.function.arn()
    }

    /// Kills every process of this function with SIGKILL, and returns when all are dead.
    pub fn kill(&self) {
        for instance in self.living() {
            self.record_memory(&instance);
            instance.process.kill();
        }
    }

    /// The output of all its processes so far, standard output and standard error.
    pub fn output(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = File::try_clone(&self.output).and_then(|mut file| {
            file.rewind()?;
            file.read_to_end(&mut bytes)
        });
        read.expect("a file of our own can be read");
        bytes
    }

    /// The time that the newest process took from its start until it asked for work; `None` if it has not asked yet.
    pub fn ready_after(&self) -> Option<Duration> {
        self.living().last().and_then(|instance| instance.api.ready_after())
    }

    /// The number of processes started so far, that is, of cold starts.
    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    /// The most memory in bytes that one of its processes held, measured at the end of each invocation and now.
    pub fn memory_peak(&self) -> u64 {
        for instance in self.living() {
            self.record_memory(&instance);
        }
        self.memory_peak.load(Ordering::SeqCst)
    }

    /// The processor time of its living processes so far.
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
