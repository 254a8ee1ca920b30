//! Signs requests to AWS services: to services that are not worth linking an SDK client for, and requests that pass through `between`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::account::{Account, connector};
use crate::failure::{Failure, innermost};

/// A caller of AWS services, with its credentials, Region and connections.
pub(crate) struct Signed {
    credentials: Credentials,
    region: String,
    connector: SharedHttpConnector,
}

/// A request before it is signed.
pub(crate) struct Request<'a> {
    /// The name in the signature: `lambda`, `kms`, ...
    pub(crate) service: &'a str,
    /// Scheme, host and port.
    pub(crate) endpoint: &'a str,
    pub(crate) method: &'a str,
    /// With the query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Bytes,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Signed {
    /// A caller in this account, which waits for an answer as long as `patience`.
    pub(crate) async fn new(account: &Account, patience: Duration) -> Result<Signed, Failure> {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(patience)
            .build();
        Ok(Signed {
            credentials: account.credentials().await?,
            region: account.region().to_owned(),
            connector: SharedHttpConnector::new(connector(settings, account.local)),
        })
    }

    /// The same caller in another Region: IAM has one for each partition.
    pub(crate) fn in_region(&self, region: &str) -> Signed {
        Signed {
            region: region.to_owned(),
            credentials: self.credentials.clone(),
            connector: self.connector.clone(),
        }
    }

    /// Signs, sends, and reads the answer.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let Request { service, endpoint, .. } = request;
        let failed = |why: String| {
            Failure::blind(
                format!("{service} could not be reached at {endpoint}: {why}"),
                "check --region, the network and proxy settings",
            )
        };
        let request = self.sign(request).map_err(&failed)?;
        let request = HttpRequest::try_from(request).map_err(|error| failed(error.to_string()))?;
        let answer = self.connector.call(request).await.map_err(|error| failed(innermost(&error)))?;
        let answer = answer.try_into_http1x().map_err(|error| failed(error.to_string()))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    fn sign(&self, request: Request<'_>) -> Result<http::Request<SdkBody>, String> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(request.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let uri = format!("{}{}", request.endpoint.trim_end_matches('/'), request.path);
        let headers = request.headers.iter().copied();
        let signable =
            SignableRequest::new(request.method, &uri, headers, SignableBody::Bytes(&request.body))
                .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &params).map_err(|error| error.to_string())?.into_parts();
        let mut built = http::Request::builder().method(request.method).uri(&uri);
        for (name, value) in request.headers {
            built = built.header(*name, *value);
        }
        let mut built = built.body(SdkBody::from(request.body)).map_err(|error| error.to_string())?;
        instructions.apply_to_request_http1x(&mut built);
        Ok(built)
    }
}
