//! The Secrets Manager that a command uses: an AWS account's, or a lab.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_secretsmanager::types::SecretListEntry;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use clap::Args;
use zeroize::Zeroizing;

use crate::failure::{EVERY, Failure};
use crate::labels::{State, Version};

/// Which Secrets Manager.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    /// The Region; without it, the one that the AWS CLI would use.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration files.
    #[arg(long)]
    profile: Option<String>,
    /// Another Secrets Manager, such as a lab's: http://127.0.0.1:4599
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
}

/// An open account.
pub(crate) struct Account {
    pub(crate) client: Client,
    pub(crate) config: SdkConfig,
    /// The URL that requests go to.
    pub(crate) endpoint: String,
    /// Whether that URL is a stand-in on this machine.
    pub(crate) local: bool,
}

impl Account {
    /// Finds the endpoint, the Region and the credentials. Makes no other call.
    pub(crate) async fn open(place: &Place) -> Result<Account, Failure> {
        let endpoint = place.endpoint_url.clone().or_else(endpoint_of_environment);
        let endpoint = endpoint.map(url).transpose()?;
        let local = endpoint.as_deref().is_some_and(is_local);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(
            Builder::new().build_with_connector_fn(move |settings, _| {
                connector(settings.cloned().unwrap_or_default(), local)
            }),
        );
        if let Some(region) = &place.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &place.profile {
            loader = loader.profile_name(profile);
        }
        if local {
            loader = loader.retry_config(RetryConfig::disabled());
            if place.profile.is_none() && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
                // A lab accepts any credentials, and looking for the machine's role would take seconds.
                loader = loader.credentials_provider(Credentials::new("lab", "lab", None, None, "turnlock"));
            }
        }
        let mut config = loader.load().await;
        if config.region().is_none() && local {
            config = config.into_builder().region(Region::from_static("us-east-1")).build();
        }
        if config.region().is_none() {
            return Err(Failure::blind("no Region is configured", "add --region, or set AWS_REGION"));
        }
        let client = aws_sdk_secretsmanager::config::Builder::from(&config);
        let client = match &endpoint {
            Some(url) => client.endpoint_url(url),
            None => client,
        };
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => service_endpoint(&config).await?,
        };
        Ok(Account { client: Client::from_conf(client.build()), config, endpoint, local })
    }

    /// The Region's name.
    pub(crate) fn region(&self) -> &str {
        self.config.region().map(Region::as_ref).expect("`open` has seen to it")
    }

    /// The endpoint of another service in this Region: from the SDK's variable, or else from Secrets Manager's endpoint.
    pub(crate) fn endpoint_of(&self, service: &str) -> Result<String, Failure> {
        let variable = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
        if let Some(url) = std::env::var(&variable).ok().filter(|url| !url.is_empty()) {
            return self::url(url);
        }
        if self.local {
            return Err(Failure::blind(
                format!("{service} is not available: {} stands in for Secrets Manager only", self.endpoint),
                format!("start the function here with --function COMMAND, or set {variable}"),
            ));
        }
        Ok(self.endpoint.replacen("secretsmanager", service, 1))
    }

    /// The caller's credentials.
    pub(crate) async fn credentials(&self) -> Result<Credentials, Failure> {
        let provider = self.config.credentials_provider().expect("`open` has set one");
        provider.provide_credentials().await.map_err(|error| Failure::nobody(&error))
    }

    /// Everything about a secret, except its values.
    pub(crate) async fn state(&self, secret: &str) -> Result<State, Failure> {
        let described = self.client.describe_secret().secret_id(secret).send().await;
        let described = described.map_err(|error| self.failure("DescribeSecret", secret, error))?;
        let mut versions = Vec::new();
        let mut page = None;
        loop {
            let request = self.client.list_secret_version_ids().secret_id(secret).include_deprecated(true);
            let listed = request.set_next_token(page).send().await;
            let listed = listed.map_err(|error| self.failure("ListSecretVersionIds", secret, error))?;
            versions.extend(listed.versions.unwrap_or_default().into_iter().filter_map(Version::of));
            page = listed.next_token;
            if page.is_none() {
                return Ok(State::new(described, versions));
            }
        }
    }

    /// All secrets, without their values.
    pub(crate) async fn list(&self) -> Result<Vec<SecretListEntry>, Failure> {
        let (mut found, mut page) = (Vec::new(), None);
        loop {
            let listed = self.client.list_secrets().set_next_token(page).send().await;
            let listed = listed.map_err(|error| self.failure("ListSecrets", EVERY, error))?;
            found.extend(listed.secret_list.unwrap_or_default());
            page = listed.next_token;
            if page.is_none() {
                return Ok(found);
            }
        }
    }

    /// The value of a version; `None` for the empty one of a rotation that has just begun.
    pub(crate) async fn value(
        &self,
        secret: &str,
        version: &str,
    ) -> Result<Option<Zeroizing<String>>, Failure> {
        let got = self.client.get_secret_value().secret_id(secret).version_id(version).send().await;
        match got {
            Ok(got) => Ok(Some(Zeroizing::new(got.secret_string.unwrap_or_default()))),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failure("GetSecretValue", secret, error)),
        }
    }

    /// Removes AWSPENDING from a version.
    pub(crate) async fn drop_pending(&self, secret: &str, version: &str) -> Result<(), Failure> {
        let request = self.client.update_secret_version_stage().secret_id(secret);
        let moved = request.version_stage("AWSPENDING").remove_from_version_id(version).send().await;
        moved.map(drop).map_err(|error| self.failure("UpdateSecretVersionStage", secret, error))
    }

    pub(crate) fn failure<E>(
        &self,
        operation: &str,
        secret: &str,
        error: aws_sdk_secretsmanager::error::SdkError<
            E,
            aws_smithy_runtime_api::client::orchestrator::HttpResponse,
        >,
    ) -> Failure
    where
        E: aws_sdk_secretsmanager::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        Failure::service(operation, secret, &self.endpoint, error)
    }
}

/// One connection pool with rustls on aws-lc-rs and the system's roots. It uses the system's proxies, except for a local endpoint.
pub(crate) fn connector(settings: HttpConnectorSettings, local: bool) -> Connector {
    let proxies = if local { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
    let builder = Connector::builder().connector_settings(settings).sleep_impl(TokioSleep::new());
    builder.proxy_config(proxies).tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build()
}

/// The endpoint from the environment. The variable that functions read comes first, then the SDK's own.
fn endpoint_of_environment() -> Option<String> {
    let names = ["SECRETS_MANAGER_ENDPOINT", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"];
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Checks that a text is a URL to which requests can be sent.
fn url(text: String) -> Result<String, Failure> {
    let parts = text.parse::<http::Uri>().ok();
    match parts.is_some_and(|uri| uri.scheme().is_some() && uri.host().is_some()) {
        true => Ok(text),
        false => Err(Failure::usage(
            format!("{text} is not an endpoint"),
            "write it as http://HOST:PORT or https://HOST, in --endpoint-url and AWS_ENDPOINT_URL alike",
        )),
    }
}

fn is_local(endpoint: &str) -> bool {
    let host = endpoint.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    host.is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."))
}

/// The service's endpoint by the SDK's own rules: partitions, FIPS, dual stack.
async fn service_endpoint(config: &SdkConfig) -> Result<String, Failure> {
    let params = Params::builder()
        .set_region(config.region().map(ToString::to_string))
        .use_fips(config.use_fips().unwrap_or(false))
        .use_dual_stack(config.use_dual_stack().unwrap_or(false));
    let unknown = |error: String| {
        Failure::blind(format!("Secrets Manager has no endpoint there: {error}"), "check --region")
    };
    let params = params.build().map_err(|error| unknown(error.to_string()))?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).await;
    endpoint.map(|endpoint| endpoint.url().to_owned()).map_err(|error| unknown(error.to_string()))
}
