//! A stand-in for Lambda, IAM and KMS, which answers in the form of their API references, and for Secrets Manager in odd Regions
//! (`region.rs`). Invocations are real: they reach a function's process.
//!
//! The name of a function decides how the stand-in answers. A function called
//! - `missing` is not there, and `denied` may not be looked at; `failed` could not be deployed;
//!   for `trouble` Lambda answers with an internal error;
//! - `short` has a short timeout, and its role may not put values; for the roles of `hidden` and `strange` IAM gives no useful answer;
//! - `closed` has no resource policy, `other` has one for another service, `open` has one without conditions;
//! - `strange` answers every event with a word, `crash` with an error, `slow` never.
//!
//! Keys ending in `off` are disabled, and those ending in `hidden` may not be looked at.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lab::runtime::{InvokeError, RunningFunction};
use lab::secrets::Secrets;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[path = "region.rs"]
mod region;

/// The running stand-in. Dropping it stops it.
pub(crate) struct Aws {
    pub(crate) endpoint: String,
    _server: JoinSet<()>,
}

/// The function and the lab behind the stand-in.
struct Behind {
    function: Arc<RunningFunction>,
    secrets: Secrets,
}

/// An answer: its status, whether it is a function's error, and its body.
type Answer = (u16, bool, String);

impl Aws {
    pub(crate) async fn start(function: Arc<RunningFunction>, secrets: Secrets) -> Aws {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let behind = Arc::new(Behind { function, secrets });
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let behind = Arc::clone(&behind);
                let service = service_fn(move |request| answer(Arc::clone(&behind), request));
                let mut builder = http1::Builder::new();
                let connection =
                    builder.auto_date_header(false).serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Aws { endpoint, _server: server }
    }
}

async fn answer(
    behind: Arc<Behind>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let signed = head.headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let body = body.collect().await.expect("the request arrives").to_bytes();
    let scope: Vec<&str> = signed.split('/').collect();
    let (region, service) = (scope.get(2).copied().unwrap_or_default(), scope.get(3).copied());
    let path = head.uri.path().replace("%3A", ":");
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (status, error, body) = match (service, &parts[..]) {
        (Some("secretsmanager"), _) => {
            let (status, body) = region::answer(region, &behind.secrets, &head.headers, &body);
            (status, false, body)
        }
        (Some("lambda"), [_, "functions", arn, what]) => {
            lambda(&behind.function, &head.method, arn, what, &body).await
        }
        (Some("iam"), _) => iam(&String::from_utf8_lossy(&body)),
        (Some("kms"), _) => kms(&serde_json::from_slice(&body).expect("the request is JSON")),
        _ => refused(403, "no such request, or not signed for its service"),
    };
    let mut response = Response::builder().status(status);
    if let Some(date) = region::date(region) {
        response = response.header("date", date.fmt(Format::HttpDate).expect("it is a date"));
    }
    if error {
        response = response.header("X-Amz-Function-Error", "Unhandled");
    }
    Ok(response.body(Full::from(body)).expect("it is a response"))
}

fn refused(status: u16, why: &str) -> Answer {
    (status, false, json!({"Message": why}).to_string())
}

async fn lambda(function: &RunningFunction, method: &Method, arn: &str, what: &str, body: &[u8]) -> Answer {
    let name = arn.rsplit(':').next().unwrap_or_default();
    match (what, name) {
        (_, "trouble") => refused(500, "Service is in trouble"),
        (_, "denied") => refused(403, "User is not authorized to perform this on the function"),
        ("configuration" | "invocations", "missing") => refused(404, &format!("Function not found: {arn}")),
        ("configuration", _) => (200, false, configuration(arn, name).to_string()),
        ("policy", _) => policy(arn, name),
        ("invocations", _) if method == Method::POST => {
            let event = serde_json::from_slice(body).expect("the event is JSON");
            let (failed, body) = invoke(function, name, event).await;
            (200, failed, body.to_string())
        }
        _ => refused(404, "no such request"),
    }
}

async fn invoke(function: &RunningFunction, name: &str, event: Value) -> (bool, Value) {
    match name {
        "strange" => return (false, json!("hello")),
        "crash" => {
            return (true, json!({"errorType": "KeyError", "errorMessage": "'host'", "stackTrace": []}));
        }
        // Without a type, as Lambda writes it.
        "slow" => return (true, json!({"errorMessage": "Task timed out after 3.00 seconds"})),
        _ => {}
    }
    match function.invoke(event).await {
        Ok(answer) => (false, answer),
        Err(InvokeError::Function(error)) => {
            (true, json!({"errorType": error.error_type, "errorMessage": error.error_message}))
        }
        Err(error) => (true, json!({"errorType": "Runtime.ExitError", "errorMessage": error.to_string()})),
    }
}

fn configuration(arn: &str, name: &str) -> Value {
    let (short, failed) = (name == "short", name == "failed");
    let role = if ["short", "hidden", "strange"].contains(&name) { name } else { "rotation" };
    let mut configuration = json!({
        "FunctionArn": arn, "Runtime": "provided.al2023", "MemorySize": 128,
        "State": if failed { "Failed" } else { "Active" },
        "Timeout": if short { 3 } else { 30 }, "VpcConfig": {"VpcId": if failed { "vpc-1" } else { "" }},
        "Role": format!("arn:aws:iam::000000000000:role/{role}"),
    });
    if failed {
        configuration["StateReason"] = json!("The subnet has no free IP addresses");
    }
    configuration
}

fn policy(arn: &str, name: &str) -> Answer {
    if name == "closed" {
        return refused(404, "The resource you requested does not exist.");
    }
    let service = if name == "other" { "events.amazonaws.com" } else { "secretsmanager.amazonaws.com" };
    let mut statement = json!({
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "lambda:InvokeFunction", "Resource": arn,
    });
    if name != "open" {
        statement["Condition"] = json!({"StringEquals": {"aws:SourceAccount": "000000000000"}});
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    (200, false, json!({"Policy": policy.to_string(), "RevisionId": "1"}).to_string())
}

fn kms(request: &Value) -> Answer {
    let key = request["KeyId"].as_str().unwrap_or_default();
    if key.ends_with("hidden") {
        return refused(400, "User is not authorized to perform: kms:DescribeKey");
    }
    let state = if key.ends_with("off") { "Disabled" } else { "Enabled" };
    (200, false, json!({"KeyMetadata": {"KeyState": state}}).to_string())
}

fn iam(form: &str) -> Answer {
    let form = form.replace("%3A", ":").replace("%2F", "/");
    if form.contains("role/hidden") {
        return refused(403, "User is not authorized to perform: iam:SimulatePrincipalPolicy");
    }
    let short = form.contains("role/short");
    let actions = form.split('&').filter(|pair| pair.starts_with("ActionNames.member."));
    let members = actions.map(|pair| {
        let action = pair.split_once('=').expect("a pair").1;
        let decision = if short && action.ends_with("PutSecretValue") { "implicitDeny" } else { "allowed" };
        format!("<member><EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision></member>")
    });
    let members: String = if form.contains("role/strange") { String::new() } else { members.collect() };
    let body = format!(
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>{members}</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    );
    (200, false, body)
}
