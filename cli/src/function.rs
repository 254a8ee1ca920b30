//! A rotation function, as a command to start here or as the ARN of a deployed one.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lab::rotation::Step;
use lab::runtime::{self, RunningFunction};
use serde_json::{Value, json};

use crate::account::Account;
use crate::failure::{Failure, PASSES};
use crate::program::look_for;
use crate::signed::{Request, Signed};

/// Lambda's longest time for an invocation, and a little more.
const LONGEST: Duration = Duration::from_secs(15 * 60 + 10);

/// Something that answers events.
pub(crate) enum Function {
    /// A process on this machine.
    Process(RunningFunction),
    /// A function in AWS.
    Deployed {
        /// Its ARN, or its name.
        arn: String,
        /// The caller's credentials and connections.
        signed: Signed,
        /// Lambda's endpoint.
        endpoint: String,
    },
}

/// The error kind for a function that ended, or ran too long, without an answer.
const SILENCE: &str = "NoAnswer";

/// A function's own error, or its silence.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) kind: String,
    pub(crate) message: String,
}

impl Function {
    /// Starts a command line, split into words as by a shell, with this environment.
    pub(crate) async fn start(name: &str, command: &str, env: &[(&str, &str)]) -> Result<Function, Failure> {
        let mut function = process(name, command)?;
        for (name, value) in env {
            function = function.env(name, value);
        }
        function.start().await.map(Function::Process).map_err(not_started)
    }

    /// A deployed function.
    pub(crate) async fn deployed(account: &Account, arn: &str) -> Result<Function, Failure> {
        let signed = Signed::new(account, LONGEST).await?;
        Ok(Function::Deployed { arn: arn.to_owned(), signed, endpoint: account.endpoint_of("lambda")? })
    }

    /// Sends an event and waits for the answer.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Result<Value, Refused>, Failure> {
        match self {
            Function::Process(process) => Ok(process.invoke(event.clone()).await.map_err(refused)),
            Function::Deployed { arn, signed, endpoint } => invoke(signed, endpoint, arn, event).await,
        }
    }

    /// Sends an event, waits for the answer, and measures the time.
    pub(crate) async fn timed(&self, event: &Value) -> Result<(Result<Value, Refused>, Duration), Failure> {
        let started = Instant::now();
        Ok((self.invoke(event).await?, started.elapsed()))
    }

    /// What a process has written so far; a deployed function writes to CloudWatch.
    pub(crate) fn output(&self) -> String {
        match self {
            Function::Process(process) => String::from_utf8_lossy(&process.output()).into_owned(),
            Function::Deployed { .. } => String::new(),
        }
    }
}

/// A command line as a process of the lab. `exec` replaces the shell with the function, so that a kill reaches the function.
/// Fails if the command names a program that is not there.
pub(crate) fn process(name: &str, command: &str) -> Result<runtime::Function, Failure> {
    look_for(command, &path())?;
    let command = ["/bin/sh".to_owned(), "-c".to_owned(), format!("exec {command}")];
    Ok(program(name, &command))
}

/// The error if the shell itself cannot start. The shell starts any command, so something that it needs is missing.
pub(crate) fn not_started(error: io::Error) -> Failure {
    Failure::blind(
        format!("the function cannot be started: {error}"),
        "a start needs /bin/sh, a folder for temporary files (TMPDIR) and a port on 127.0.0.1",
    )
}

/// A program and its arguments as a process of the lab.
pub(crate) fn program(name: &str, command: &[String]) -> runtime::Function {
    runtime::Function::new(name, command).env("PATH", path())
}

/// The PATH of functions. They are often built or installed beside this program.
fn path() -> String {
    let usual = "/usr/local/bin:/usr/bin:/bin";
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
    let beside = beside.as_deref().and_then(std::path::Path::to_str);
    beside.map_or_else(|| usual.to_owned(), |folder| format!("{folder}:{usual}"))
}

pub(crate) fn refused(error: runtime::InvokeError) -> Refused {
    match error {
        runtime::InvokeError::Function(error) => {
            Refused { kind: error.error_type, message: error.error_message }
        }
        other => Refused { kind: SILENCE.to_owned(), message: other.to_string() },
    }
}

async fn invoke(
    signed: &Signed,
    endpoint: &str,
    arn: &str,
    event: &Value,
) -> Result<Result<Value, Refused>, Failure> {
    let escaped = arn.replace(':', "%3A").replace('$', "%24"); // as the SDKs do; nothing else in an ARN needs it
    let answer = signed
        .send(Request {
            service: "lambda",
            endpoint,
            method: "POST",
            path: &format!("/2015-03-31/functions/{escaped}/invocations"),
            headers: &[("content-type", "application/json")],
            body: Bytes::from(event.to_string()),
        })
        .await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    if answer.status != 200 {
        let why = if body["Message"].is_string() { word("Message") } else { word("message") };
        return Err(Failure::blind(
            format!("Lambda refused to invoke {arn} with HTTP {}: {why}", answer.status),
            match answer.status {
                429 | 500.. => PASSES,
                _ => "you need lambda:InvokeFunction on the function; check the ARN and --region",
            },
        ));
    }
    if let Some(error) = answer.headers.get("x-amz-function-error") {
        // Lambda gives no error type for a function that ran out of time.
        let kind = Some(word("errorType")).filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or_else(|| String::from_utf8_lossy(error.as_bytes()).into_owned());
        return Ok(Err(Refused { kind, message: word("errorMessage") }));
    }
    Ok(Ok(body))
}

impl Refused {
    /// Whether the function gave no answer.
    pub(crate) fn is_silence(&self) -> bool {
        self.kind == SILENCE
    }

    /// What happened, without the step, which the reader knows; and what to do, if the function says so. Our functions say both.
    pub(crate) fn split(&self) -> (String, Option<&str>) {
        let without = |step: &Step| self.message.strip_prefix(step.name())?.strip_prefix(": ");
        let words = Step::ALL.iter().find_map(without).unwrap_or(&self.message);
        match words.split_once(". What to do: ") {
            Some((what, hint)) => (format!("{}: {what}", self.kind), Some(hint)),
            None => (format!("{}: {words}", self.kind), None),
        }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        json!({"type": self.kind, "message": self.message})
    }
}
