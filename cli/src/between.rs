//! A server between one function's process and Secrets Manager. It signs each request with this account's credentials and passes it
//! on, so that the process needs no credentials. Every user of this machine can reach the server. So it asks for a session token that
//! only the process is given, and passes on only the calls of a rotation.
//!
//! It adds one thing. A rotation begins with an empty version labelled AWSPENDING. Only RotateSecret can make that version, and
//! RotateSecret would call the function that is already attached to the secret. So the empty version exists only here, in the answers
//! to DescribeSecret, until the function's own PutSecretValue makes the real one.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::labels::PENDING;
use crate::signed::{self, Answer, Signed};

/// The calls of a rotation. AWS's own functions use the last one to make passwords.
const OPERATIONS: [&str; 6] = [
    "DescribeSecret",
    "GetSecretValue",
    "ListSecretVersionIds",
    "PutSecretValue",
    "UpdateSecretVersionStage",
    "GetRandomPassword",
];

/// The server between a function and Secrets Manager. Dropping it stops the server.
pub(crate) struct Between {
    endpoint: String,
    /// The session token that only the function's process knows.
    session: String,
    _server: JoinSet<()>,
}

struct Service {
    signed: Signed,
    session: String,
    /// The real Secrets Manager's endpoint.
    onward: String,
    secret: String,
    rotation: Option<Begun>,
}

/// A rotation in which this server plays Secrets Manager's part.
pub(crate) struct Begun {
    token: String,
    /// Whether its version is still empty and exists only here.
    empty: AtomicBool,
}

impl Begun {
    /// A rotation to version `token`, which exists already unless it `begins` here.
    pub(crate) fn new(token: &str, begins: bool) -> Begun {
        Begun { token: token.to_owned(), empty: AtomicBool::new(begins) }
    }
}

impl Between {
    /// Starts the server for a function and the secret with this ARN. Without a rotation it adds nothing.
    pub(crate) async fn start(
        signed: Signed,
        onward: &str,
        secret: &str,
        rotation: Option<Begun>,
    ) -> Result<Between, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let session = format!("{:032x}", rand::random::<u128>());
        let service = Arc::new(Service {
            signed,
            session: session.clone(),
            onward: onward.to_owned(),
            secret: secret.to_owned(),
            rotation,
        });
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = Arc::clone(&service);
                let answer = service_fn(move |request| answer(Arc::clone(&service), request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // A connection may end as it likes; the function sees that itself.
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Ok(Between { endpoint, session, _server: server })
    }

    /// The environment that leads the function's process to this server.
    pub(crate) fn env<'a>(&'a self, region: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("SECRETS_MANAGER_ENDPOINT", &self.endpoint),
            ("AWS_SESSION_TOKEN", &self.session),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
        ]
    }
}

async fn answer(
    service: Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // The body of a stranger's request is not even read.
    if let Err(refusal) = service.admit(&head.headers) {
        return Ok(*refusal);
    }
    let Ok(body) = body.collect().await else {
        return Ok(failed("the request did not arrive completely"));
    };
    Ok(match service.pass(&head.headers, body.to_bytes()).await {
        Ok(answer) => {
            let mut response = Response::new(Full::new(answer.body));
            *response.status_mut() =
                StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            for name in ["content-type", "x-amzn-requestid"] {
                if let Some(value) = answer.headers.get(name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            response
        }
        Err(failure) => failed(&failure.what),
    })
}

fn failed(why: &str) -> Response<Full<Bytes>> {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError", why)
}

/// An error in the service's own shape.
fn refusal(status: StatusCode, kind: &str, why: &str) -> Response<Full<Bytes>> {
    let body = json!({"__type": kind, "Message": why});
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Service {
    /// Refuses a request that is not the function's own, or is no call of a rotation.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Response<Full<Bytes>>>> {
        let refused = |kind, why: &str| Err(Box::new(refusal(StatusCode::BAD_REQUEST, kind, why)));
        if header(headers, "x-amz-security-token") != self.session {
            let why = "The security token included in the request is invalid.";
            return refused("UnrecognizedClientException", why);
        }
        let target = header(headers, "x-amz-target");
        let operation = target.strip_prefix("secretsmanager.").unwrap_or_default();
        match OPERATIONS.contains(&operation) {
            true => Ok(()),
            false => refused("AccessDeniedException", &format!("turnlock does not pass on {target}")),
        }
    }

    async fn pass(&self, headers: &HeaderMap, body: Bytes) -> Result<Answer, Failure> {
        let target = header(headers, "x-amz-target");
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let ours = request["SecretId"] == self.secret;
        let mut answer = self
            .signed
            .send(signed::Request {
                service: "secretsmanager",
                endpoint: &self.onward,
                method: "POST",
                path: "/",
                headers: &[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)],
                body,
            })
            .await?;
        let Some(rotation) = self.rotation.as_ref().filter(|_| ours && answer.status == 200) else {
            return Ok(answer);
        };
        match target.rsplit('.').next() {
            Some("PutSecretValue") if request["ClientRequestToken"] == rotation.token => {
                rotation.empty.store(false, Ordering::SeqCst);
            }
            Some("DescribeSecret") => answer.body = rotation.describe(&answer.body),
            _ => {}
        }
        Ok(answer)
    }
}

impl Begun {
    /// The answer that the service would give if it had begun this rotation itself.
    fn describe(&self, body: &Bytes) -> Bytes {
        let Ok(mut described) = serde_json::from_slice::<Value>(body) else { return body.clone() };
        described["RotationEnabled"] = json!(true);
        if self.empty.load(Ordering::SeqCst) {
            let versions = &mut described["VersionIdsToStages"];
            // A finished rotation may have left the label beside AWSCURRENT. RotateSecret removes it there.
            for (_, labels) in versions.as_object_mut().into_iter().flatten() {
                if let Some(labels) = labels.as_array_mut() {
                    labels.retain(|label| label != PENDING);
                }
            }
            versions[&self.token] = json!([PENDING]);
        }
        Bytes::from(described.to_string())
    }
}
