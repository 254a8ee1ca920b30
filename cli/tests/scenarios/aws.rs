//! Stand-ins for what no program on this machine can be: Lambda's, IAM's and KMS's answers, in the form of their API references.
//! Invocations are real: they reach a function's process.
//!
//! Names decide: a function ending in `short` has little time, one ending in `closed` no resource policy, one ending in `open`
//! a policy without conditions; the role of `short` may not put values. Keys ending in `off` are disabled.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lab::runtime::{InvokeError, RunningFunction};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The running stand-in; it ends with its value.
pub(crate) struct Aws {
    pub(crate) endpoint: String,
    _server: JoinSet<()>,
}

impl Aws {
    pub(crate) async fn start(function: Arc<RunningFunction>) -> Aws {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let function = Arc::clone(&function);
                let service = service_fn(move |request| answer(Arc::clone(&function), request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Aws { endpoint, _server: server }
    }
}

async fn answer(
    function: Arc<RunningFunction>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let signed =
        head.headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let body = body.collect().await.expect("the request arrives").to_bytes();
    let service = signed.split('/').nth(3).unwrap_or_default();
    let path = head.uri.path().replace("%3A", ":");
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (status, error, body) = match (service, &head.method, &parts[..]) {
        ("lambda", &Method::POST, [_, "functions", _, "invocations"]) => {
            let event = serde_json::from_slice(&body).expect("the event is JSON");
            let (failed, body) = invoke(&function, event).await;
            (200, failed, body.to_string())
        }
        ("lambda", _, [_, "functions", arn, "configuration"]) if arn.ends_with("missing") => {
            (404, false, json!({"Type": "User", "Message": "Function not found"}).to_string())
        }
        ("lambda", _, [_, "functions", arn, "configuration"]) => (200, false, configuration(arn).to_string()),
        ("lambda", _, [_, "functions", arn, "policy"]) => policy(arn),
        ("iam", ..) => (200, false, decisions(&String::from_utf8_lossy(&body))),
        ("kms", ..) => {
            let request: Value = serde_json::from_slice(&body).expect("the request is JSON");
            let off = request["KeyId"].as_str().is_some_and(|key| key.ends_with("off"));
            let state = if off { "Disabled" } else { "Enabled" };
            (200, false, json!({"KeyMetadata": {"KeyState": state}}).to_string())
        }
        _ => (403, false, json!({"message": "no such request, or not signed for its service"}).to_string()),
    };
    let mut response = Response::builder().status(status);
    if error {
        response = response.header("X-Amz-Function-Error", "Unhandled");
    }
    Ok(response.body(Full::from(body)).expect("it is a response"))
}

async fn invoke(function: &RunningFunction, event: Value) -> (bool, Value) {
    match function.invoke(event).await {
        Ok(answer) => (false, answer),
        Err(InvokeError::Function(error)) => {
            (true, json!({"errorType": error.error_type, "errorMessage": error.error_message}))
        }
        Err(error) => (true, json!({"errorType": "Runtime.ExitError", "errorMessage": error.to_string()})),
    }
}

fn configuration(arn: &str) -> Value {
    let short = arn.ends_with("short");
    json!({
        "FunctionArn": arn, "Runtime": "provided.al2023", "MemorySize": 128, "State": "Active",
        "Timeout": if short { 3 } else { 30 }, "VpcConfig": {"VpcId": ""},
        "Role": format!("arn:aws:iam::000000000000:role/{}", if short { "short" } else { "rotation" }),
    })
}

fn policy(arn: &str) -> (u16, bool, String) {
    if arn.ends_with("closed") {
        return (404, false, json!({"Message": "The resource you requested does not exist."}).to_string());
    }
    let mut statement = json!({
        "Effect": "Allow", "Principal": {"Service": "secretsmanager.amazonaws.com"},
        "Action": "lambda:InvokeFunction", "Resource": arn,
    });
    if !arn.ends_with("open") {
        statement["Condition"] = json!({"StringEquals": {"aws:SourceAccount": "000000000000"}});
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    (200, false, json!({"Policy": policy.to_string(), "RevisionId": "1"}).to_string())
}

fn decisions(form: &str) -> String {
    let form = form.replace("%3A", ":").replace("%2F", "/");
    let short = form.contains("role/short");
    let actions = form.split('&').filter(|pair| pair.starts_with("ActionNames.member."));
    let members = actions.map(|pair| {
        let action = pair.split_once('=').expect("a pair").1;
        let decision = if short && action.ends_with("PutSecretValue") { "implicitDeny" } else { "allowed" };
        format!("<member><EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision></member>")
    });
    let members: String = members.collect();
    format!(
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>{members}</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
}
