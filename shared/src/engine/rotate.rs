//! The story of one invocation, on one page: event, gate, step, target, store.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use serde_json::Value;

use crate::deadline::Deadline;
use crate::door::event::{self, Event, Request, Step};
use crate::door::log;
use crate::door::metrics;
use crate::engine::diagnose;
use crate::engine::gate::{self, Gate};
use crate::engine::job::Job;
use crate::engine::step::{create_secret, finish_secret, set_secret, test_secret};
use crate::engine::store::Store;
use crate::engine::target::{Diagnosis, Target};
use crate::error::Result;
use crate::secret::Scrub;
use crate::value::settings::Settings;
use crate::value::version::VersionId;

/// What outlives an invocation: configuration and connections, nothing that a rotation depends on.
pub struct Process {
    /// The function's environment.
    pub settings: Settings,
    /// For every AWS client.
    pub aws: SdkConfig,
    /// The one that every step needs.
    pub secrets_manager: Client,
    /// Whether Secrets Manager is a stand-in on this machine.
    pub local: bool,
}

/// Answers one event: null for a step, a report for `diagnose`.
pub async fn run<T: Diagnosis>(
    target: &T,
    process: &Process,
    event: &Value,
    function: &str,
    deadline: Deadline,
    scrub: Arc<Scrub>,
) -> Result<Value> {
    let started = Instant::now();
    match event::parse(event)? {
        Event::Diagnose(examination) => {
            let job = job(process, &examination.secret, "", deadline, scrub);
            let report = Box::pin(diagnose::run(target, &job, &examination, function, process.local)).await;
            job.end().await;
            report
        }
        Event::Inspect(provider) => diagnose::inspect(target, &process.settings, &provider),
        Event::Rotate(request) => {
            let name = request.step.as_ref().map_or("unknown", |step| step.name()).to_owned();
            let outcome = step(target, process, request, deadline, scrub).await;
            metrics::step_duration(&name, started.elapsed());
            let ms = started.elapsed().as_millis() as u64;
            match &outcome {
                Ok(()) => tracing::info!(ms, "the step is done"),
                Err(_) => tracing::info!(ms, "the step failed"),
            }
            outcome.map(|()| Value::Null)
        }
    }
}

async fn step<T: Target>(
    target: &T,
    process: &Process,
    request: Request,
    deadline: Deadline,
    scrub: Arc<Scrub>,
) -> Result<()> {
    log::note("secret", &request.secret);
    log::note("version", &request.token);
    let mut job = job(process, &request.secret, &request.token, deadline, scrub);
    if let Some(authority) = request.rotation_token {
        job.scrub.learn(&authority);
        job.authority = Some(authority);
    }
    let step = match request.step {
        Ok(step) => step,
        // As in AWS's functions, the gate speaks before an unknown step is noticed.
        Err(name) => match gate::check(&job.store.describe().await?, &job.token)? {
            Gate::Promoted => return Ok(()),
            Gate::Open => return Err(gate::unknown_step(&name)),
        },
    };
    log::note("step", step.name());
    // Boxed: four futures with a driver inside each would otherwise lie side by side, and be one type too deep to lay out.
    let outcome = match step {
        Step::CreateSecret => Box::pin(create_secret::run(target, &job)).await,
        Step::SetSecret => Box::pin(set_secret::run(target, &job)).await,
        Step::TestSecret => Box::pin(test_secret::run(target, &job)).await,
        Step::FinishSecret => Box::pin(finish_secret::run(target, &job)).await,
    };
    job.end().await;
    outcome.map_err(|error| error.during(step.name()))
}

fn job<'a>(
    process: &'a Process,
    secret: &str,
    token: &str,
    deadline: Deadline,
    scrub: Arc<Scrub>,
) -> Job<'a> {
    Job {
        store: Store::new(process.secrets_manager.clone(), secret.to_owned(), deadline),
        settings: &process.settings,
        aws: &process.aws,
        deadline,
        scrub,
        token: VersionId::new(token),
        authority: None,
        looked_up: RefCell::default(),
        endings: RefCell::default(),
    }
}
