//! A service that issues API keys, with the conventions of the built-in provider `http`.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The service. Dropping it stops it.
pub(crate) struct Issuer {
    port: u16,
    keys: Arc<Keys>,
    _serving: JoinSet<()>,
}

/// The keys that work: id and value.
type Keys = Mutex<Vec<(u64, String)>>;

impl Issuer {
    pub(crate) async fn start() -> io::Result<Issuer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let keys = Arc::<Keys>::default();
        let mut serving = JoinSet::new();
        let theirs = Arc::clone(&keys);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let keys = Arc::clone(&theirs);
                let service = service_fn(move |request| {
                    let answer = answer(&keys, &request);
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async { drop(connection.await) });
            }
        });
        Ok(Issuer { port, keys, _serving: serving })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A key that somebody made by hand.
    pub(crate) fn first(&self) -> (String, String) {
        let (id, key) = issue(&self.keys);
        (id.to_string(), key)
    }
}

/// The provider file that leads to the service, through a proxy or not.
pub(crate) fn provider(port: u16) -> String {
    format!("name = \"mine\"\nlike = \"http\"\n[servers]\napi = \"http://127.0.0.1:{port}\"\n")
}

fn issue(keys: &Keys) -> (u64, String) {
    let (id, key) = (rand::random::<u64>(), format!("{:032x}", rand::random::<u128>()));
    keys.lock().unwrap_or_else(PoisonError::into_inner).push((id, key.clone()));
    (id, key)
}

fn answer(keys: &Keys, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let known = keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some((caller, _)) = known.iter().find(|(_, key)| key == bearer) else {
        return reply(401, &json!({"error": "who are you?"}));
    };
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/keys/self") => reply(200, &json!({"id": caller.to_string()})),
        (&Method::GET, "/keys") => reply(200, &json!({"keys": []})),
        (&Method::POST, "/keys") => {
            let (id, key) = issue(keys);
            reply(201, &json!({"id": id.to_string(), "key": key}))
        }
        (&Method::DELETE, path) => {
            let id = path.strip_prefix("/keys/").unwrap_or_default();
            keys.lock().unwrap_or_else(PoisonError::into_inner).retain(|(key, _)| key.to_string() != id);
            reply(200, &json!({}))
        }
        _ => reply(404, &json!({"error": "no such thing"})),
    }
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::from(body.to_string())).expect("the parts are fixed")
}
