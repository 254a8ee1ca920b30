//! One execution environment: a process, and its own runtime API.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::api::{self, Api, Invocation, Next, Report};
use super::failure::{FunctionError, InvokeError};
use super::function::Function;
use super::process::Process;
use crate::uuid::new_uuid;

/// The time that Lambda gives a process from its start until it asks for work ("Lambda execution environment lifecycle").
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A process and the state of its runtime API.
pub(crate) struct Instance {
    pub(crate) process: Process,
    pub(crate) api: Arc<Api>,
}

/// One process, idle or called by the owner of this value.
pub(crate) struct Environment {
    pub(crate) instance: Arc<Instance>,
    /// One message each time the process asks for work.
    requests: mpsc::UnboundedReceiver<Next>,
    server: JoinHandle<()>,
}

impl Environment {
    /// Starts the runtime API, then the process.
    pub(crate) async fn start(function: &Function, output: &File) -> io::Result<Environment> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (program, arguments) = function.command.split_first().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{}: the command is empty", function.name))
        })?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(lambda_variables(&function.name))
            .envs(&function.variables)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        let (sender, requests) = mpsc::unbounded_channel();
        let api = Arc::new(Api::new(sender, function.arn()));
        let process = Process::spawn(&mut command)?;
        let server = tokio::spawn(api::serve(listener, Arc::clone(&api)));
        Ok(Environment { instance: Arc::new(Instance { process, api }), requests, server })
    }

    /// Waits until the process asks for work.
    pub(crate) async fn next(&mut self) -> Result<Next, InvokeError> {
        let process = &self.instance.process;
        let asked = async {
            tokio::select! {
                biased; // A process that asked and then died counts as dead.
                _ = process.ended() => None,
                Some(next) = self.requests.recv() => Some(next),
            }
        };
        match timeout(INIT_LIMIT, asked).await {
            Err(_) => {
                process.kill();
                Err(InvokeError::TimedOut { limit: INIT_LIMIT })
            }
            Ok(Some(next)) => Ok(next),
            Ok(None) => Err(self.died(self.instance.api.init_error()).await),
        }
    }

    /// Hands an event to the waiting process and waits for its answer, at most as long as `limit`.
    pub(crate) async fn call(
        &self,
        next: Next,
        event: &Value,
        limit: Duration,
    ) -> Result<Value, InvokeError> {
        let Instance { process, api } = &*self.instance;
        let (answer, answered) = oneshot::channel();
        let invocation = Invocation {
            id: new_uuid(),
            event: Bytes::from(event.to_string()),
            deadline_ms: (now() + limit).as_millis(),
            trace: trace_id(),
        };
        api.expect(invocation.id.clone(), answer);
        // If the invocation cannot be handed over, the process has ended, which the code below notices.
        let _ = next.send(invocation);
        let outcome = async {
            tokio::select! {
                biased;
                Ok(report) = answered => Some(report),
                _ = process.ended() => None,
            }
        };
        match timeout(limit, outcome).await {
            Err(_) => {
                process.kill();
                Err(InvokeError::TimedOut { limit })
            }
            Ok(Some(Report::Response(body))) => serde_json::from_slice(&body).map_err(|_| {
                InvokeError::Function(FunctionError {
                    error_type: "Runtime.MarshalError".into(),
                    error_message: "the response is not JSON".into(),
                })
            }),
            Ok(Some(Report::Error(error))) => Err(InvokeError::Function(error)),
            Ok(None) => Err(self.died(None).await),
        }
    }

    async fn died(&self, reported: Option<FunctionError>) -> InvokeError {
        match reported {
            Some(error) => InvokeError::Function(error),
            None => InvokeError::Died { status: self.instance.process.ended().await },
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.instance.process.kill();
        self.server.abort();
    }
}

/// The variables of Lambda's page "Defined runtime environment variables", with credentials that work nowhere.
fn lambda_variables(name: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".into()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
        ("AWS_SESSION_TOKEN", "local-session".into()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_DEFAULT_REGION", "us-east-1".into()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".into()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{:032x}", rand::random::<u128>())),
        // Lambda sets no HOME. Without one, libraries would look it up and find this user's own AWS settings.
        ("HOME", "/nonexistent".into()),
        ("LANG", "en_US.UTF-8".into()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("TZ", ":UTC".into()),
        ("_HANDLER", "bootstrap".into()),
    ]
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970")
}

/// An X-Ray tracing header without sampling.
fn trace_id() -> String {
    let (parent, unique) = (rand::random::<u64>(), rand::random::<u128>() >> 32);
    format!("Root=1-{:08x}-{unique:024x};Parent={parent:016x};Sampled=0", now().as_secs())
}
