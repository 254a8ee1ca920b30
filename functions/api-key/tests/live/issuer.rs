//! A service that issues keys: a real HTTP server with a list of keys. A dialect decides how it speaks, and the test how it
//! fails.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A parsed request.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) form: BTreeMap<String, String>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The token after `Authorization: Bearer`.
    pub(crate) fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    /// User and password of basic authentication.
    pub(crate) fn basic(&self) -> (String, String) {
        let encoded = self.header("authorization").strip_prefix("Basic ").unwrap_or_default();
        let bytes = aws_smithy_types::base64::decode(encoded).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        text.split_once(':')
            .map(|(user, password)| (user.to_owned(), password.to_owned()))
            .unwrap_or_default()
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Reply {
        Reply { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(crate) fn empty(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) value: String,
    pub(crate) name: String,
    pub(crate) created: u64,
}

/// A fault of one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Answers with this status and these headers, and does nothing.
    Status(u16, Vec<(&'static str, String)>),
    /// Carries out the request, and breaks the connection.
    LoseAnswer,
    /// Waits before it carries out the request.
    Delay(Duration),
    /// Carries out the request, and answers this.
    Instead(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Carries out the request, and holds back the answer until the test releases it.
    Hold(Arc<Held>),
    /// Carries out the request, and sends the head of the answer. The body drips for ever.
    Drip,
}

/// An answer that is held back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Signals that the answer is ready.
    pub(crate) reached: Notify,
    /// Lets the answer go.
    pub(crate) release: Notify,
}

/// The service's state.
#[derive(Default)]
pub(crate) struct Store {
    /// The keys that work.
    pub(crate) keys: Vec<Key>,
    /// Access tokens by purpose, refresh tokens, and other state of a dialect.
    pub(crate) notes: BTreeMap<String, String>,
    /// Every request: method, path and the status of its answer.
    pub(crate) log: Vec<(Method, String, u16)>,
    /// The ids of all keys that were revoked.
    pub(crate) revoked: Vec<String>,
    faults: Vec<(Method, &'static str, Fault)>,
    made: u64,
    latency: Duration,
}

impl Store {
    pub(crate) fn issue(&mut self, form: &str, name: &str) -> Key {
        self.made += 1;
        let random = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        // Without any of the value, because ids are logged.
        let id = format!("id{}{:012x}", self.made, rand::random::<u64>() >> 16);
        let value = form.replace("{id}", &id).replace("{random}", &random);
        let created = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let key = Key { id, value, name: name.to_owned(), created };
        self.keys.push(key.clone());
        key
    }

    /// The key with this value, if it works.
    pub(crate) fn of(&self, value: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.value == value)
    }

    /// Revokes a key. Returns whether it existed.
    pub(crate) fn revoke(&mut self, id: &str) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.id != id);
        let found = self.keys.len() < before;
        if found {
            self.revoked.push(id.to_owned());
        }
        found
    }
}

/// How a service answers.
pub(crate) type Dialect = fn(&mut Store, &Asked) -> Reply;

/// A running service. When it is dropped, it closes every connection.
pub(crate) struct Issuer {
    store: Arc<Mutex<Store>>,
    pub(crate) port: u16,
    _server: JoinSet<()>,
}

impl Issuer {
    /// Starts a service on 127.0.0.1.
    pub(crate) async fn start(dialect: Dialect) -> Issuer {
        Issuer::start_with(dialect, None).await
    }

    /// The same, with TLS if there is an acceptor.
    pub(crate) async fn start_with(dialect: Dialect, tls: Option<tokio_rustls::TlsAcceptor>) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let store = Arc::new(Mutex::new(Store::default()));
        let shared = Arc::clone(&store);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (store, tls) = (Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, dialect, store).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, dialect, store).await;
                            }
                        }
                    }
                });
            }
        });
        Issuer { store, port, _server: server }
    }

    /// The service's state, to inspect or to change.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    /// The values of all keys that work, sorted.
    pub(crate) fn live(&self) -> Vec<String> {
        let mut live: Vec<String> = self.store().keys.iter().map(|key| key.value.clone()).collect();
        live.sort();
        live
    }

    /// Adds a fault for the next request with this method and this text in its path. Several faults are used in order.
    pub(crate) fn fault(&self, method: Method, path: &'static str, fault: Fault) {
        self.store().faults.push((method, path, fault));
    }

    /// The number of faults that have not been used.
    pub(crate) fn faults_left(&self) -> usize {
        self.store().faults.len()
    }

    /// Sets how long every request takes from now on.
    pub(crate) fn latency(&self, latency: Duration) {
        self.store().latency = latency;
    }

    /// The number of requests with this method and this text in their path.
    pub(crate) fn count(&self, method: &Method, path: &str) -> usize {
        self.store().log.iter().filter(|(asked, of, _)| asked == method && of.contains(path)).count()
    }
}

async fn serve<S>(stream: S, dialect: Dialect, store: Arc<Mutex<Store>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request| answer(dialect, Arc::clone(&store), request));
    // The caller decides how a connection ends. Some faults end it on purpose.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// Closes the connection without an answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a fault closed the connection")
    }
}

impl std::error::Error for Lost {}

type Body = http_body_util::Either<Full<Bytes>, http_body_util::StreamBody<Dripping>>;
type Dripping =
    std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<hyper::body::Frame<Bytes>, Infallible>> + Send>>;

async fn answer(
    dialect: Dialect,
    store: Arc<Mutex<Store>>,
    request: http::Request<hyper::body::Incoming>,
) -> Result<Response<Body>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let asked = Asked {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: pairs(head.uri.query().unwrap_or_default()),
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap_or_default(),
        form: pairs(std::str::from_utf8(&body).unwrap_or_default()),
    };
    let (fault, latency) = {
        let mut store = store.lock().unwrap();
        let at = store
            .faults
            .iter()
            .position(|(method, path, _)| *method == asked.method && asked.path.contains(path));
        (at.map(|at| store.faults.remove(at).2), store.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if let Some(Fault::Delay(time)) = fault {
        tokio::time::sleep(time).await;
    }
    let reply = match &fault {
        Some(Fault::Status(status, headers)) => {
            Reply { status: *status, headers: headers.clone(), body: b"{}".to_vec() }
        }
        _ => dialect(&mut store.lock().unwrap(), &asked),
    };
    store.lock().unwrap().log.push((asked.method, asked.path, reply.status));
    if let Some(Fault::Hold(held)) = &fault {
        held.reached.notify_one();
        held.release.notified().await;
    }
    Ok(match fault {
        Some(Fault::LoseAnswer) => return Err(Lost),
        Some(Fault::Instead(status, headers, body)) => response(Reply { status, headers, body }),
        Some(Fault::Drip) => dripping(),
        _ => response(reply),
    })
}

fn response(reply: Reply) -> Response<Body> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::Left(Full::new(reply.body.into()))).unwrap()
}

fn dripping() -> Response<Body> {
    let drops = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Some((Ok(hyper::body::Frame::data(Bytes::from_static(b" "))), ()))
    });
    let drops: Dripping = Box::pin(drops);
    Response::new(Body::Right(http_body_util::StreamBody::new(drops)))
}

/// Parses a query or a form, and decodes its escapes.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, behind @ ..] = rest {
            let hex =
                behind.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            match (first, hex) {
                (b'%', Some(byte)) => {
                    bytes.push(byte);
                    rest = &behind[2..];
                }
                _ => {
                    bytes.push(*first);
                    rest = behind;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
