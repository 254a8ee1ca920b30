//! The AWS configuration every client of this process shares: what Lambda puts into the environment. No metadata service, no
//! single sign-on, no role switching: a function that needs them is not where it should be.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

use crate::http::Http;
use crate::settings::Settings;

/// Enough for what throttling lasts; the deadline ends it earlier where it is nearer.
const ATTEMPTS: u32 = 10;
/// A call that takes longer than this has been lost.
const ATTEMPT: Duration = Duration::from_secs(6);

/// Loads it; cheap, and done once per process, when the first event arrives.
pub async fn config(settings: &Settings) -> SdkConfig {
    let retry = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(2));
    let timeout = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .http_client(Http::new(settings.extra_roots.clone()))
        .retry_config(retry)
        .timeout_config(timeout);
    if let Ok(region) = std::env::var("AWS_REGION") {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}
