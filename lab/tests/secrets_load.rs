//! The lab under load: 5,000 secrets, 200 requests at once, no lost update, flat memory.
//!
//! A test binary of its own, so that its memory is nobody else's.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "the figures are what one runs it for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use lab::Lab;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

const SECRETS: usize = 5_000;
const CLIENTS: usize = 200;
const PASSES: usize = 3;

/// One client with one connection, as an SDK keeps it.
struct Client {
    address: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    async fn connect(endpoint: &str) -> Self {
        let address = endpoint.strip_prefix("http://").unwrap().to_owned();
        let stream = TcpStream::connect(&address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { address, sender }
    }

    async fn call(&mut self, operation: &str, body: Value) -> (u16, Value) {
        let request = Request::post("/")
            .header("host", &self.address)
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

/// Runs one piece of work in each of `CLIENTS` clients at once.
async fn at_once<F>(endpoint: &str, work: impl Fn(usize, Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = Vec::new();
    for n in 0..CLIENTS {
        tasks.push(tokio::spawn(work(n, Client::connect(endpoint).await)));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

fn token(secret: usize, count: usize) -> String {
    format!("secret-{secret:06}-count-{count:06}-token-")
}

/// Resident memory in kilobytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Each client's share of the secrets: read, put again under the token it has, read by the token.
async fn pass(endpoint: &str) {
    at_once(endpoint, |n, mut client| async move {
        for secret in (n..SECRETS).step_by(CLIENTS) {
            let (id, token) = (format!("secret-{secret}"), token(secret, 0));
            let (_, read) = client.call("GetSecretValue", json!({"SecretId": id})).await;
            assert_eq!(read["SecretString"], token);
            let again = json!({"SecretId": id, "ClientRequestToken": token, "SecretString": token});
            assert_eq!(client.call("PutSecretValue", again).await.0, 200);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_at_once_lose_no_update_and_memory_stays_flat() {
    let lab = Lab::start(Default::default()).await.unwrap();
    let endpoint = lab.endpoint();
    let began = Instant::now();
    at_once(&endpoint, |n, mut client| async move {
        for secret in (n..SECRETS).step_by(CLIENTS) {
            let token = token(secret, 0);
            let request = json!({"Name": format!("secret-{secret}"), "ClientRequestToken": token, "SecretString": token});
            assert_eq!(client.call("CreateSecret", request).await.0, 200);
        }
    })
    .await;
    println!("{SECRETS} secrets created in {:?}, {} kB", began.elapsed(), memory());

    // Once to warm up: buffers and the call log reach their size.
    pass(&endpoint).await;
    let (before, began) = (memory(), Instant::now());
    for _ in 0..PASSES {
        pass(&endpoint).await;
    }
    let (calls, after) = (PASSES * SECRETS * 2, memory());
    let rate = calls as f64 / began.elapsed().as_secs_f64();
    println!("{calls} calls of {CLIENTS} clients: {rate:.0} a second, {before} kB before, {after} kB after");
    // 30,000 calls that each kept a third of a kilobyte would be seen.
    assert!(after < before + 10_000, "{before} kB before, {after} kB after");

    everybody_writes_one_secret(&lab).await;
    one_of_all_moves_the_label(&lab).await;
}

/// Every acknowledged put is there, and the labels sit on the last two.
async fn everybody_writes_one_secret(lab: &Lab) {
    at_once(&lab.endpoint(), |n, mut client| async move {
        for count in 0..10 {
            let token = token(n, count);
            let request = json!({"SecretId": "secret-0", "ClientRequestToken": token, "SecretString": token});
            assert_eq!(client.call("PutSecretValue", request).await.0, 200, "{token}");
        }
    })
    .await;
    let versions = lab.secrets().versions("secret-0").unwrap();
    // Client 0's first token is the one that the secret was created with.
    assert_eq!(versions.len(), CLIENTS * 10);
    for n in 0..CLIENTS {
        for count in 0..10 {
            let token = token(n, count);
            assert_eq!(lab.secrets().value_of("secret-0", &token), Some(token));
        }
    }
    let (last, rest) = versions.split_last().unwrap();
    assert_eq!(last.labels, ["AWSCURRENT"]);
    assert_eq!(rest.last().unwrap().labels, ["AWSPREVIOUS"]);
}

/// Of many that move AWSCURRENT from the same version at once, exactly one succeeds.
async fn one_of_all_moves_the_label(lab: &Lab) {
    for n in 0..CLIENTS {
        lab.secrets().put("secret-1", &token(n, 1), "value", &["MINE"]).unwrap();
    }
    let from = token(1, 0);
    let (together, winners) = (Arc::new(Barrier::new(CLIENTS)), Arc::new(AtomicUsize::new(0)));
    at_once(&lab.endpoint(), |n, mut client| {
        let (from, together, winners) = (from.clone(), Arc::clone(&together), Arc::clone(&winners));
        async move {
            let request = json!({"SecretId": "secret-1", "VersionStage": "AWSCURRENT", "RemoveFromVersionId": from,
                "MoveToVersionId": token(n, 1)});
            together.wait().await;
            let (status, _) = client.call("UpdateSecretVersionStage", request).await;
            winners.fetch_add(usize::from(status == 200), Ordering::SeqCst);
        }
    })
    .await;
    assert_eq!(winners.load(Ordering::SeqCst), 1);
}
