//! The HTTP client under the AWS SDK: hyper over our own TLS roots. The SDK's default client reads the system's whole certificate
//! folder at start, which takes longer than the rest of starting up.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error as HyperError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use crate::deadline::Deadline;
use crate::error::{Error, Kind};
use crate::reach::net;
use crate::reach::tls;

/// The time limit for opening one connection to AWS. The SDK tries again after it.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(5);

/// One pool of connections, made on first use.
pub struct Http {
    connector: SharedHttpConnector,
}

impl Http {
    /// A client that trusts the compiled-in roots and these extra roots.
    pub fn new(extra_roots: Option<String>) -> Http {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        Http { connector: SharedHttpConnector::new(Pool(builder.build(Dial { extra_roots }))) }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector.clone()
    }
}

struct Pool(Client<Dial, SdkBody>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl HttpConnector for Pool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.request(request).await.map_err(connector_error)?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Marks every connection error as worth another try within the deadline. The error's text names the stage.
fn connector_error(error: HyperError) -> ConnectorError {
    ConnectorError::io(error.into())
}

/// Opens connections for the pool.
#[derive(Clone)]
struct Dial {
    extra_roots: Option<String>,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Io>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let roots = self.extra_roots.clone();
        Box::pin(async move { open(&uri, roots.as_deref()).await.map(TokioIo::new) })
    }
}

async fn open(uri: &Uri, extra_roots: Option<&str>) -> Result<Io, Error> {
    let https = uri.scheme_str() == Some("https");
    let host = uri.host().ok_or_else(|| Error::new(Kind::Bug, format!("the endpoint {uri} has no host")))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let deadline = Deadline::after(CONNECT);
    let stream = net::dial(deadline, host, port).await?;
    if !https {
        return Ok(Io(Box::new(stream)));
    }
    let config = tls::client_config(&Vec::from_iter(extra_roots))?;
    Ok(Io(Box::new(net::handshake(deadline, config, host, port, stream).await?)))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A TCP or TLS stream.
struct Io(Box<dyn Stream>);

impl Connection for Io {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
