//! A raw client, so that tests see what is on the wire: status, type and text.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use lab::Lab;
use serde_json::{Value, json};
use tokio::net::TcpStream;

pub(crate) const TOKEN_1: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const TOKEN_2: &str = "22222222-2222-4222-8222-222222222222";
pub(crate) const TOKEN_3: &str = "33333333-3333-4333-8333-333333333333";

/// One call as an unsigned client makes it; `None` if the connection closed without an answer.
pub(crate) async fn send(lab: &Lab, operation: &str, body: Value) -> Option<(u16, Value)> {
    send_as(lab, None, operation, body).await
}

/// One call under an access key and in a Region.
pub(crate) async fn send_as(
    lab: &Lab,
    scope: Option<(&str, &str)>,
    operation: &str,
    body: Value,
) -> Option<(u16, Value)> {
    post(&lab.endpoint(), scope, operation, body).await
}

pub(crate) async fn post(
    endpoint: &str,
    scope: Option<(&str, &str)>,
    operation: &str,
    body: Value,
) -> Option<(u16, Value)> {
    let address = endpoint.strip_prefix("http://").unwrap().to_owned();
    let stream = TcpStream::connect(&address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post("/")
        .header("host", address)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("secretsmanager.{operation}"));
    if let Some((key, region)) = scope {
        let credential = format!("{key}/20260101/{region}/secretsmanager/aws4_request");
        let header = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0000");
        request = request.header("authorization", header);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let response = sender.send_request(request).await.ok();
    let answer = match response {
        None => None,
        Some(response) => {
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.ok()?.to_bytes();
            Some((status, serde_json::from_slice(&body).unwrap()))
        }
    };
    drop(sender);
    connection.abort();
    answer
}

/// A call that has to succeed.
#[track_caller]
pub(crate) fn ok(answer: Option<(u16, Value)>) -> Value {
    match answer {
        Some((200, body)) => body,
        other => panic!("expected success, got {other:?}"),
    }
}

/// A call that has to be refused with HTTP 400, a bare type and a text, and nothing else.
#[track_caller]
pub(crate) fn refused(answer: Option<(u16, Value)>, kind: &str) -> String {
    let (status, body) = answer.expect("an answer");
    assert_eq!((status, &body["__type"]), (400, &json!(kind)), "{body}");
    let text = body["Message"].as_str().expect("a message").to_owned();
    assert_eq!(body, json!({"__type": kind, "Message": text}));
    text
}
