//! A Secrets Manager for one function's process: everything goes on to the real one, signed with this account's credentials, so
//! that the process needs none. Everybody on this machine can reach it, so it asks for a session token that the process alone is
//! given, and lets nothing through but what a rotation calls.
//!
//! One thing is added. A rotation begins with an empty version labelled AWSPENDING, which RotateSecret makes and no other request
//! can; and RotateSecret would call the function that the secret has already. So the empty version exists only here, in what
//! DescribeSecret answers, until the function's own PutSecretValue makes the real one.

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

/// What a rotation calls; the last is what AWS's own functions take their passwords from.
const OPERATIONS: [&str; 6] = [
    "DescribeSecret",
    "GetSecretValue",
    "ListSecretVersionIds",
    "PutSecretValue",
    "UpdateSecretVersionStage",
    "GetRandomPassword",
];

/// The server between a function and Secrets Manager; it ends with its value.
pub(crate) struct Between {
    endpoint: String,
    /// What tells the function's requests from those of others on this machine.
    session: String,
    _server: JoinSet<()>,
}

struct Service {
    signed: Signed,
    session: String,
    /// Where requests go on to.
    onward: String,
    secret: String,
    rotation: Option<Begun>,
}

/// A rotation in which Secrets Manager's part is played here.
pub(crate) struct Begun {
    token: String,
    /// Whether its version is only seen here.
    empty: AtomicBool,
}

impl Begun {
    /// A rotation to version `token`, which exists already unless it `begins` here.
    pub(crate) fn new(token: &str, begins: bool) -> Begun {
        Begun { token: token.to_owned(), empty: AtomicBool::new(begins) }
    }
}

impl Between {
    /// Starts it for a function that is to see `secret` (its ARN); without a rotation nothing is added.
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
                // A connection's end is the function's affair.
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Ok(Between { endpoint, session, _server: server })
    }

    /// What the function's process needs to know in order to come here.
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
    // Nothing is read of what a stranger sends.
    if let Err(refusal) = service.admit(&head.headers) {
        return Ok(*refusal);
    }
    let Ok(body) = body.collect().await else {
        return Ok(failed("the request did not arrive whole"));
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
    /// Sees that a request is the function's own, and one of a rotation's.
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
            false => refused("AccessDeniedException", &format!("turnlock lets no {target} through")),
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
    /// What the service would tell once it had begun this rotation itself.
    fn describe(&self, body: &Bytes) -> Bytes {
        let Ok(mut described) = serde_json::from_slice::<Value>(body) else { return body.clone() };
        described["RotationEnabled"] = json!(true);
        if self.empty.load(Ordering::SeqCst) {
            let versions = &mut described["VersionIdsToStages"];
            // A finished rotation may have left the label beside AWSCURRENT; RotateSecret takes it along.
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
