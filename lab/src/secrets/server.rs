//! The HTTP side: AWS JSON 1.1 over hyper, with faults and the call log around every operation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::call::{Call, Outcome};
use super::caller::Caller;
use super::fault::{Verdict, What};
use super::input::Input;
use super::refusal::Refusal;
use super::service::Service;
use super::signature::{self, Authorization};
use crate::uuid::new_uuid;

/// Far larger than the largest request: 65,536 bytes in JSON escapes, and a policy.
const MOST_BODY: usize = 1 << 20;

/// Serves until this future is dropped. Then every connection closes.
pub(crate) async fn serve(listener: TcpListener, service: Arc<Service>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept means that the caller is gone already.
                let Ok((stream, _)) = accepted else { continue };
                // Small answers must not wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                let service = Arc::clone(&service);
                let answer = service_fn(move |request| answer(Arc::clone(&service), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer);
                // The caller decides how a connection ends. Some faults end it on purpose.
                connections.spawn(async move { drop(connection.await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Closes the connection without an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a fault closed the connection")
    }
}

impl std::error::Error for Dropped {}

/// A call under way. It is logged however it ends, even if the caller goes away.
struct Open {
    service: Arc<Service>,
    call: Call,
    began: Instant,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.call.duration = self.began.elapsed();
        self.service.calls.push(self.call.clone());
    }
}

async fn answer(service: Arc<Service>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            let text = "The request body is too large or did not arrive whole.";
            return Ok(response(Err(Refusal::new("SerializationException", text))));
        }
    };
    let operation = target(&head.headers);
    let parsed = caller(&service, &head, &body).and_then(|caller| Ok((caller, Input::parse(&body)?)));
    let (caller, input, refusal) = match parsed {
        Ok((caller, input)) => (caller, input, None),
        Err(refusal) => (service.unsigned(), Input::default(), Some(refusal)),
    };
    let mut open = open(Arc::clone(&service), &operation, &caller, &input);
    let answer = match refusal {
        Some(refusal) => Err(refusal),
        None => perform(&mut open, &caller, &operation, &input).await?,
    };
    open.call.outcome = outcome(&answer);
    Ok(response(answer))
}

/// Carries out a call, with its faults and hooks.
async fn perform(
    open: &mut Open,
    caller: &Caller,
    operation: &str,
    input: &Input,
) -> Result<Result<Value, Refusal>, Dropped> {
    let service = Arc::clone(&open.service);
    let struck = service.faults.strike(operation);
    let latency = service.pace().latency;
    // Even the shortest sleep lasts until the timer's next millisecond.
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    for what in &struck {
        match what {
            What::FailBefore(kind, status) => return Ok(Err(fault(kind, *status))),
            What::Throttle => return Ok(Err(fault("ThrottlingException", 400))),
            What::DropBefore => return Err(Dropped),
            What::Delay(time) => tokio::time::sleep(*time).await,
            What::Before(hook) if hook.ask(open.call.clone()).await == Verdict::Cut => return Err(Dropped),
            _ => {}
        }
    }
    let mut answer = service.perform(caller, operation, input);
    let done = || Call { outcome: outcome(&answer), duration: open.began.elapsed(), ..open.call.clone() };
    let on_call = service.on_call.lock().expect("nothing panics while it holds the hook").clone();
    if let Some(on_call) = on_call {
        on_call(done()).await;
    }
    for what in &struck {
        match what {
            What::DropAfter => return Err(Dropped),
            What::After(hook) if hook.ask(done()).await == Verdict::Cut => return Err(Dropped),
            _ => {}
        }
    }
    for what in &struck {
        if let What::FailAfter(kind, status) = what {
            answer = Err(fault(kind, *status));
        }
    }
    Ok(answer)
}

fn fault(kind: &str, status: u16) -> Refusal {
    Refusal { kind: kind.into(), message: "A fault of the lab.".into(), status }
}

fn outcome(answer: &Result<Value, Refusal>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Done,
        Err(refusal) => Outcome::Refused(refusal.kind.clone()),
    }
}

fn open(service: Arc<Service>, operation: &str, caller: &Caller, input: &Input) -> Open {
    let (number, at) = service.calls.arrive();
    let version = ["VersionId", "MoveToVersionId", "ClientRequestToken"].iter().find_map(|m| input.raw(m));
    let stages = || input.texts("VersionStages", 0, usize::MAX).ok().flatten().map(|labels| labels.join(","));
    let call = Call {
        number,
        at,
        duration: Default::default(),
        operation: operation.into(),
        secret: input.raw("SecretId").or_else(|| input.raw("Name")),
        version,
        stage: input.raw("VersionStage").or_else(stages),
        outcome: Outcome::Unanswered,
        access_key: caller.access_key.clone(),
    };
    Open { service, call, began: Instant::now() }
}

fn target(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    target.strip_prefix("secretsmanager.").unwrap_or(target).to_owned()
}

/// The caller. Signatures are checked only if the options say so.
fn caller(service: &Service, head: &Parts, body: &[u8]) -> Result<Caller, Refusal> {
    let mut caller = service.unsigned();
    let check = service.callers.check_signatures;
    let Some(authorization) = Authorization::of(&head.headers)? else {
        return if check { Err(signature::missing()) } else { Ok(caller) };
    };
    let account = service.callers.accounts.get(authorization.access_key);
    if check {
        authorization.verify(head, body, account.ok_or_else(signature::unknown_key)?)?;
    }
    caller.access_key = authorization.access_key.into();
    caller.region = authorization.region.into();
    if let Some(account) = account {
        caller.account.clone_from(&account.id);
    }
    Ok(caller)
}

fn response(answer: Result<Value, Refusal>) -> Response<Full<Bytes>> {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(refusal) => (refusal.status, refusal.body()),
    };
    let body = serde_json::to_vec(&body).expect("a JSON value serializes");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.1"));
    let id = http::HeaderValue::from_str(&new_uuid()).expect("a UUID is a header value");
    headers.insert("x-amzn-requestid", id);
    response
}
