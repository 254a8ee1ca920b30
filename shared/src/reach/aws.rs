//! The AWS configuration that every client of this process shares. It uses only what Lambda puts into the environment: no metadata
//! service, no single sign-on, no role switching.

use std::env;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::sdk_config::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::engine::job::Job;
use crate::error::{Error, Kind, Result};
use crate::reach::http::Http;
use crate::said::Said;
use crate::value::settings::Settings;

/// Enough tries for the usual throttling. A nearer deadline ends them earlier.
const ATTEMPTS: u32 = 10;
/// A call that takes longer than this has been lost.
const ATTEMPT: Duration = Duration::from_secs(6);
/// The time limit for one listing with all its pages and tries.
const LISTING: Duration = Duration::from_secs(10);

/// Made once per process, when the first event arrives. It is built by hand, because the SDK's own loader would link the clients of
/// STS and single sign-on, and look for files that no Lambda function has.
pub(crate) fn config(settings: &Settings) -> SdkConfig {
    let retry = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(2));
    let timeout = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .region(variable("AWS_REGION").map(Region::new))
        .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .service_config(Environment)
        .http_client(Http::new(settings.extra_roots.clone()))
        .retry_config(retry)
        .timeout_config(timeout)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .build()
}

/// Waits for the answer of an AWS service that looks up servers. A refusal names the missing action. `action` is IAM's name for the
/// call, which begins with the name of the service's endpoint.
pub async fn answered<T, E>(
    job: &Job<'_>,
    action: &str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (service, _) = action.split_once(':').unwrap_or((action, ""));
    let remedy = format!(
        "in a VPC without NAT, give the function an interface endpoint (com.amazonaws.REGION.{service}) whose security group lets it in"
    );
    let waited = job.deadline.within(LISTING, format!("the answer to {action}"), call).await;
    let error = match waited.map_err(|error| error.remedy(remedy.as_str()))? {
        Ok(output) => return Ok(output),
        Err(error) => error,
    };
    let Some(answer) = error.as_service_error() else {
        return Err(Error::new(Kind::Unreachable, format!("{action} was not answered"))
            .cause(Said::new(&DisplayErrorContext(&error).to_string()))
            .remedy(remedy));
    };
    let code = answer.code().unwrap_or("an error without a code");
    let failed = |kind| {
        Error::new(kind, format!("{action} was refused with {code}"))
            .cause(Said::new(answer.message().unwrap_or_default()))
    };
    Err(match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            failed(Kind::AccessDenied).remedy(format!("allow {action} to the function's role"))
        }
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => failed(Kind::Throttled),
        "DBInstanceNotFound"
        | "DBInstanceNotFoundFault"
        | "DBClusterNotFoundFault"
        | "ClusterNotFound"
        | "ClusterNotFoundFault"
        | "ResourceNotFoundException" => failed(Kind::BadSecret)
            .remedy("the server that the admin secret's tags name does not exist in this account and Region"),
        _ => failed(Kind::Unreachable),
    })
}

/// A variable, unless it is absent or empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_on(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Variables that the SDK looks up for each service, such as `AWS_ENDPOINT_URL_RDS` before `AWS_ENDPOINT_URL`.
#[derive(Debug)]
struct Environment;

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        variable(&format!("{}_{service}", key.env())).or_else(|| variable(key.env()))
    }
}
