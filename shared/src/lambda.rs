//! The only file that knows the Lambda runtime: events in, answers and errors out, panics included.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::deadline::Deadline;
use crate::door::log;
use crate::door::metrics;
use crate::engine::rotate::{self, Process};
use crate::engine::target::Diagnosis;
use crate::error::{Error, Kind, Result};
use crate::reach::aws;
use crate::reach::tls;
use crate::secret::Scrub;
use crate::value::settings::Settings;

/// Runs a function: the whole `main` of every target.
pub fn main<T: Diagnosis>(target: T) -> ExitCode {
    log::start();
    // The message of a panic may hold anything; the place is enough, and the panic itself is answered below.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "the function panicked");
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served =
        runtime.map_err(lambda_runtime::Error::from).and_then(|runtime| runtime.block_on(serve(&target)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = error.to_string(), "the function cannot go on");
            ExitCode::FAILURE
        }
    }
}

async fn serve<T: Diagnosis>(target: &T) -> Result<(), lambda_runtime::Error> {
    let process = OnceCell::new();
    let handler = service_fn(|event: LambdaEvent<Value>| answer(target, &process, event));
    Runtime::new(handler).run().await
}

/// Answers one event; whatever goes wrong becomes an error with its kind as `errorType`.
async fn answer<T: Diagnosis>(
    target: &T,
    process: &OnceCell<Process>,
    event: LambdaEvent<Value>,
) -> Result<Value, Failure> {
    let scrub = Arc::new(Scrub::default());
    log::enter(Arc::clone(&scrub));
    log::note("target", T::NAME);
    let work = attempt(target, process, event.payload, event.context, Arc::clone(&scrub));
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(Error::new(Kind::Bug, "the function panicked")));
    let answer = outcome.map_err(|error| {
        let error = error.scrub(&scrub);
        tracing::error!(
            kind = error.kind().name(),
            error = error.report(),
            "the event was answered with an error"
        );
        metrics::failed(error.kind());
        Failure(error)
    });
    // The log's scrubber is the last that holds this invocation's secrets; they go now, and not with the next event.
    log::enter(Arc::default());
    answer
}

async fn attempt<T: Diagnosis>(
    target: &T,
    process: &OnceCell<Process>,
    event: Value,
    context: Context,
    scrub: Arc<Scrub>,
) -> Result<Value> {
    let deadline = Deadline::at_epoch_ms(context.deadline);
    let process = process.get_or_try_init(start).await?;
    Box::pin(rotate::run(target, process, &event, &context.invoked_function_arn, deadline, scrub)).await
}

/// Reads the environment and makes the client, once per process and not before there is something to do.
async fn start() -> Result<Process> {
    let settings = Settings::from_env()?;
    // One that cannot be read would otherwise look like a Secrets Manager that does not answer.
    if let Some(roots) = &settings.extra_roots {
        tls::client_config(&[roots])?;
    }
    let aws = aws::config(&settings);
    let mut config = aws_sdk_secretsmanager::config::Builder::from(&aws);
    // AWS's functions read the first; the other two are the SDK's own.
    let variables = ["SECRETS_MANAGER_ENDPOINT", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"];
    let endpoint = variables.into_iter().find_map(aws::variable);
    let local = endpoint.as_deref().is_some_and(is_local);
    config.set_endpoint_url(endpoint);
    let secrets_manager = aws_sdk_secretsmanager::Client::from_conf(config.build());
    Ok(Process { settings, aws, secrets_manager, local })
}

fn is_local(endpoint: &str) -> bool {
    let host = endpoint.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    host.is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."))
}

/// An error on its way to Lambda.
#[derive(Debug)]
struct Failure(Error);

impl From<Failure> for Diagnostic {
    fn from(Failure(error): Failure) -> Diagnostic {
        Diagnostic { error_type: error.kind().name().to_owned(), error_message: error.report() }
    }
}
