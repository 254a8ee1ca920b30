//! One HTTP request over one connection. The name is resolved once, every address is checked, and only a checked address is
//! connected to. Answers are limited in size and time. A redirect is not followed.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::reach::net;
use rotation::reach::tls;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address;
use crate::provider::schema::Origin;

/// The limit for an answer with its body, from the moment the request is sent.
const ANSWER: Duration = Duration::from_secs(15);
/// The longest answers are lists of keys. A page of a hundred keys has some fifty kilobytes.
const LARGEST: usize = 1 << 20;
/// The limit for the head of an answer.
const LARGEST_HEAD: usize = 64 << 10;

/// An answer, whatever it says.
pub(crate) struct Raw {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// The request was not sent, so nothing was done.
    NotSent(Error),
    /// The request was sent, and its outcome is unknown.
    Lost(Error),
}

/// Sends a request and reads its answer.
pub(crate) async fn send(
    job: &Job<'_>,
    origin: &Origin,
    request: http::Request<Full<Bytes>>,
) -> Result<Raw, Failure> {
    let addresses = addresses(job, origin).await.map_err(Failure::NotSent)?;
    let host = bare(&origin.host);
    let stream = net::connect(job.deadline, host, origin.port, &addresses).await.map_err(Failure::NotSent)?;
    if !origin.https {
        return converse(job, origin, stream, request).await;
    }
    let config =
        tls::client_config(&Vec::from_iter(job.settings.extra_roots.as_deref())).map_err(Failure::NotSent)?;
    let stream =
        net::handshake(job.deadline, config, host, origin.port, stream).await.map_err(Failure::NotSent)?;
    converse(job, origin, stream, request).await
}

/// The host's addresses. If one of them may not be called, none is.
async fn addresses(job: &Job<'_>, origin: &Origin) -> Result<Vec<SocketAddr>> {
    let addresses = net::resolve(job.deadline, bare(&origin.host), origin.port).await?;
    for address in &addresses {
        let ip = address.ip();
        let own_machine = ip.to_canonical().is_loopback() && job.settings.allow_private;
        if !(origin.https || own_machine) {
            return Err(refused(origin, "is not an https server").remedy(
                "write https:// in the provider file; http is for servers on this very machine, in tests",
            ));
        }
        if let Some(kind) = address::inside(ip)
            && !job.settings.allow_private
        {
            return Err(refused(origin, &format!("has the address {ip}, which is {kind}")).remedy(
                "if the service really is inside, set ALLOW_PRIVATE_ADDRESSES=true in the function's configuration",
            ));
        }
    }
    Ok(addresses)
}

fn refused(origin: &Origin, what: &str) -> Error {
    Error::new(Kind::NotOurs, format!("{} {what}, so it is not called", origin.host))
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn converse<S>(
    job: &Job<'_>,
    origin: &Origin,
    stream: S,
    request: http::Request<Full<Bytes>>,
) -> Result<Raw, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let place = origin.authority();
    let lost = |error: &hyper::Error| {
        let what = format!("{place} broke the connection off, or does not speak HTTP");
        Failure::Lost(Error::new(Kind::Unreachable, what).because(error))
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LARGEST_HEAD);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
    job.ends_with(tokio::spawn(async move {
        // The request that uses the connection reports its error.
        let _ = connection.await;
    }));
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let (head, body) = answer.into_parts();
        let body =
            Limited::new(body, LARGEST).collect().await.map_err(|error| body_error(&place, &*error))?;
        Ok(Raw { status: head.status, headers: head.headers, body: body.to_bytes() })
    };
    let what = format!("the answer of {place}");
    job.deadline.within(ANSWER, what, answer).await.map_err(|silence| {
        Failure::Lost(silence.remedy("the service is slow or hangs; Secrets Manager tries again by itself"))
    })?
}

fn body_error(place: &str, error: &(dyn std::error::Error + Send + Sync + 'static)) -> Failure {
    if error.is::<LengthLimitError>() {
        let what = format!("the answer of {place} is larger than {LARGEST} bytes");
        return Failure::Lost(
            Error::new(Kind::ServerRefused, what)
                .remedy("this is not the answer of the API that the provider file describes: check its URL"),
        );
    }
    let what = format!("the answer of {place} broke off");
    Failure::Lost(Error::new(Kind::Unreachable, what).because(error))
}
