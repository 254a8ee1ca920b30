//! A small service that issues keys, for a demo without a database: real HTTP on this machine, with the conventions of the
//! API-key function's `http` provider. Every key may manage every other.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The provider's name, and its file's.
pub(super) const PROVIDER: &str = "demo";

/// The running service. Dropping it stops the service and removes its folder.
pub(super) struct Issuer {
    address: SocketAddr,
    keys: Arc<Mutex<Keys>>,
    folder: PathBuf,
    _server: JoinSet<()>,
}

/// A key that works. It has no `Debug`, because it holds the value.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) value: String,
    name: String,
}

#[derive(Default)]
struct Keys {
    alive: Vec<Key>,
    made: u32,
}

impl Keys {
    fn issue(&mut self, name: &str) -> Key {
        self.made += 1;
        let value = format!("{:032x}", rand::random::<u128>());
        let key = Key { id: format!("key-{}", self.made), value, name: name.to_owned() };
        self.alive.push(key.clone());
        key
    }
}

impl Issuer {
    /// Starts the service, and writes a provider file for it.
    pub(super) async fn start() -> io::Result<Issuer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let folder = std::env::temp_dir().join(format!("turnlock-demo-{:016x}", rand::random::<u64>()));
        fs::create_dir(&folder)?;
        let keys = Arc::new(Mutex::new(Keys::default()));
        let shared = Arc::clone(&keys);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let keys = Arc::clone(&shared);
                let answer = service_fn(move |request| answer(Arc::clone(&keys), request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // A connection may end as it likes; the caller sees that itself.
                connections.spawn(async move { drop(connection.await) });
            }
        });
        let issuer = Issuer { address, keys, folder, _server: server };
        let file = format!("name = \"{PROVIDER}\"\nlike = \"http\"\n[servers]\napi = \"http://{address}\"\n");
        fs::write(issuer.folder.join(format!("{PROVIDER}.toml")), file)?;
        Ok(issuer)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder with the provider file.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A key made by hand.
    pub(super) fn first(&self) -> Key {
        self.keys().issue("made by hand")
    }

    /// The values of all keys that work.
    pub(super) fn alive(&self) -> Vec<String> {
        self.keys().alive.iter().map(|key| key.value.clone()).collect()
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, Keys> {
        self.keys.lock().expect("nothing panics while it holds the keys")
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // If this fails, a file of four lines stays in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Asks the service, as an application would, whether it accepts a key.
pub(super) async fn accepts(address: SocketAddr, key: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /keys/self HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    match text.split(' ').nth(1) {
        Some("200") => Ok(true),
        Some("401") => Ok(false),
        _ => Err(io::Error::other("the service answered neither yes nor no")),
    }
}

async fn answer(
    keys: Arc<Mutex<Keys>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let sent = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let wanted: Value = serde_json::from_slice(&sent).unwrap_or_default();
    let caller = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut keys = keys.lock().expect("nothing panics while it holds the keys");
    let known = keys.alive.iter().find(|key| caller.strip_prefix("Bearer ") == Some(&key.value)).cloned();
    let Some(caller) = known else { return Ok(reply(401, &json!({"error": "who are you?"}))) };
    let parts: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    Ok(match (&head.method, &parts[..]) {
        (&Method::GET, ["keys", "self"]) => reply(200, &json!({"id": caller.id})),
        (&Method::POST, ["keys"]) => {
            let key = keys.issue(wanted["name"].as_str().unwrap_or_default());
            reply(201, &json!({"id": key.id, "key": key.value}))
        }
        (&Method::GET, ["keys"]) if head.uri.query() == Some("page=1") => {
            let listed = keys.alive.iter().map(|key| json!({"id": key.id, "name": key.name}));
            reply(200, &json!({"keys": listed.collect::<Vec<_>>()}))
        }
        (&Method::GET, ["keys"]) => reply(200, &json!({"keys": []})),
        (&Method::DELETE, ["keys", id]) if keys.alive.iter().any(|key| key.id == *id) => {
            keys.alive.retain(|key| key.id != *id);
            reply(200, &json!({}))
        }
        _ => reply(404, &json!({"error": "there is nothing at this path"})),
    })
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(status).expect("it is a status");
    response
}
