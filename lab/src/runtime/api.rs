//! The HTTP interface of Lambda's page "Using the Lambda runtime API for custom runtimes", as one process sees it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::failure::FunctionError;
use crate::lock::locked;

/// A process that waits for work. An invocation sent here goes to that process.
pub(crate) type Next = oneshot::Sender<Invocation>;

/// The invocation that a process gets when it asks for work.
pub(crate) struct Invocation {
    pub(crate) id: String,
    pub(crate) event: Bytes,
    pub(crate) deadline_ms: u128,
    pub(crate) trace: String,
}

/// A process's answer.
pub(crate) enum Report {
    Response(Bytes),
    Error(FunctionError),
}

/// The state of one process's runtime API.
pub(crate) struct Api {
    started: Instant,
    ready_after: OnceLock<Duration>,
    requests: mpsc::UnboundedSender<Next>,
    function_arn: String,
    /// The invocation in progress, and the channel for its answer.
    pending: Mutex<Option<(String, oneshot::Sender<Report>)>>,
    init_error: Mutex<Option<FunctionError>>,
}

impl Api {
    pub(crate) fn new(requests: mpsc::UnboundedSender<Next>, function_arn: String) -> Api {
        Api {
            started: Instant::now(),
            ready_after: OnceLock::new(),
            requests,
            function_arn,
            pending: Mutex::default(),
            init_error: Mutex::default(),
        }
    }

    pub(crate) fn ready_after(&self) -> Option<Duration> {
        self.ready_after.get().copied()
    }

    /// The error that the process reported to `init/error`.
    pub(crate) fn init_error(&self) -> Option<FunctionError> {
        locked(&self.init_error).clone()
    }

    /// Accepts an answer to this invocation from now on, and to no other.
    pub(crate) fn expect(&self, id: String, answer: oneshot::Sender<Report>) {
        *locked(&self.pending) = Some((id, answer));
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        self.ready_after.get_or_init(|| self.started.elapsed());
        let (hand_over, handed_over) = oneshot::channel();
        // If the sending or the receiving fails, the environment is being taken down.
        let _ = self.requests.send(hand_over);
        let Ok(invocation) = handed_over.await else {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "Shutdown", "no more invocations will come");
        };
        Response::builder()
            .header("Content-Type", "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", invocation.id)
            .header("Lambda-Runtime-Deadline-Ms", invocation.deadline_ms.to_string())
            .header("Lambda-Runtime-Invoked-Function-Arn", &self.function_arn)
            .header("Lambda-Runtime-Trace-Id", invocation.trace)
            .body(Full::new(invocation.event))
            .expect("these header values are printable ASCII")
    }

    fn answer(&self, id: &str, report: Report) -> Response<Full<Bytes>> {
        let answer = locked(&self.pending).take_if(|(pending, _)| pending == id);
        let Some((_, waiting)) = answer else {
            return refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "this invocation is not waited for");
        };
        // The caller may have gone. The process has done its part all the same.
        let _ = waiting.send(report);
        accepted()
    }
}

/// Answers requests. Dropping this future ends every connection too.
pub(crate) async fn serve(listener: TcpListener, api: Arc<Api>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let api = Arc::clone(&api);
        connections.spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&api), request));
            // The only error here is a process that hangs up, which others notice.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(api: Arc<Api>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix("/2018-06-01/runtime/") else {
        return Ok(refusal(StatusCode::NOT_FOUND, "NotFound", "no such resource"));
    };
    let route: Vec<&str> = path.split('/').collect();
    if head.method == Method::GET && route == ["invocation", "next"] {
        return Ok(api.next().await);
    }
    let header_type = head.headers.get("lambda-runtime-function-error-type").and_then(|v| v.to_str().ok());
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "InvalidBody", "the body cannot be read"));
    };
    Ok(match (&head.method, &route[..]) {
        (&Method::POST, ["invocation", id, "response"]) => api.answer(id, Report::Response(body)),
        (&Method::POST, ["invocation", id, "error"]) => {
            api.answer(id, Report::Error(function_error(header_type, &body)))
        }
        (&Method::POST, ["init", "error"]) => {
            *locked(&api.init_error) = Some(function_error(header_type, &body));
            accepted()
        }
        _ => refusal(StatusCode::NOT_FOUND, "NotFound", "no such resource"),
    })
}

/// The error in the report. The header gives the type if the body has none.
fn function_error(header_type: Option<&str>, body: &[u8]) -> FunctionError {
    let report: Value = serde_json::from_slice(body).unwrap_or_default();
    let word = |key: &str| report[key].as_str().map(str::to_owned);
    FunctionError {
        error_type: word("errorType").or(header_type.map(str::to_owned)).unwrap_or_else(|| "Unknown".into()),
        error_message: word("errorMessage").unwrap_or_default(),
    }
}

fn accepted() -> Response<Full<Bytes>> {
    reply(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response<Full<Bytes>> {
    reply(status, &json!({ "errorType": error_type, "errorMessage": message }))
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
