//! The clients. As applications do, they log in over TLS to the server that a secret names, and use the session.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lab::continuity::{Attempt, Login, Open, Session};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::plan::Engine;

/// A login or a call that takes longer than this counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(10);

/// A login that was accepted.
enum Held {
    Postgres(Client),
    MySql(Conn),
    /// HTTP has no sessions, so this client keeps using its first key.
    Key(u16, String),
}

/// Logs in with a secret's value and keeps the session. `port` is the port of the service for keys, which no secret names.
pub(crate) fn open(engine: Engine, port: u16) -> Open {
    Arc::new(move |value: Value| {
        Box::pin(async move {
            let held = tokio::time::timeout(PATIENCE, held(engine, port, &value)).await??;
            Ok(held.map(|held| Box::new(held) as Box<dyn Session>))
        })
    })
}

pub(crate) fn login(open: &Open) -> Login {
    let open = Arc::clone(open);
    Arc::new(move |value| {
        let opening = open(value);
        Box::pin(async move { Ok(opening.await?.is_some()) }) as Attempt
    })
}

async fn held(engine: Engine, port: u16, value: &Value) -> io::Result<Option<Held>> {
    match engine {
        Engine::Postgres => postgres(value, "postgres").await,
        Engine::Redshift => postgres(value, "dev").await,
        Engine::MySql | Engine::MariaDb => mysql(value).await,
        Engine::Keys => {
            let key = word(value, "key");
            Ok(is_accepted(port, &key).await?.then_some(Held::Key(port, key)))
        }
    }
}

impl Session for Held {
    fn ask(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        let answer = async {
            match self {
                Held::Postgres(client) => client.batch_execute("SELECT 1").await.map_err(io::Error::other),
                Held::MySql(conn) => conn.query_drop("SELECT 1").await.map_err(io::Error::other),
                Held::Key(port, key) if is_accepted(*port, key).await? => Ok(()),
                Held::Key(..) => Err(io::Error::other("the key is refused")),
            }
        };
        Box::pin(async { tokio::time::timeout(PATIENCE, answer).await? })
    }
}

fn word(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn port(value: &Value) -> io::Result<u16> {
    let port = value["port"].as_u64().and_then(|port| port.try_into().ok());
    port.ok_or_else(|| io::Error::other("the secret names no port"))
}

async fn postgres(value: &Value, database: &str) -> io::Result<Option<Held>> {
    let mut config = Config::new();
    config.user(word(value, "username")).password(word(value, "password")).dbname(database);
    // The stream is encrypted already.
    config.ssl_mode(SslMode::Disable);
    match config.connect_raw(tls(value).await?, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(Some(Held::Postgres(client)))
        }
        // Redshift's message is the same as PostgreSQL's. Its code is documented nowhere.
        Err(error) if error.as_db_error().is_some_and(|it| it.message().starts_with("password")) => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// A TLS connection, requested in PostgreSQL's way, with a verified certificate.
async fn tls(value: &Value) -> io::Result<TlsStream<TcpStream>> {
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let host = word(value, "host");
    let mut stream = TcpStream::connect((host.as_str(), port(value)?)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&REQUEST).await?;
    if stream.read_u8().await? != b'S' {
        return Err(io::Error::other("the server has no TLS"));
    }
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(word(value, "sslrootcert").as_bytes()) {
        roots.add(root.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn mysql(value: &Value) -> io::Result<Option<Held>> {
    /// ER_ACCESS_DENIED_ERROR
    const WRONG_PASSWORD: u16 = 1045;
    let roots = vec![word(value, "sslrootcert").into_bytes().into()];
    let options = OptsBuilder::default()
        .ip_or_hostname(word(value, "host"))
        .tcp_port(port(value)?)
        .user(Some(word(value, "username")))
        .pass(Some(word(value, "password")))
        .prefer_socket(false)
        .ssl_opts(SslOpts::default().with_root_certs(roots));
    match Conn::new(options).await {
        Ok(conn) => Ok(Some(Held::MySql(conn))),
        Err(mysql_async::Error::Server(answer)) if answer.code == WRONG_PASSWORD => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}

async fn is_accepted(port: u16, key: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET /keys/self HTTP/1.0\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(true),
        Some("401") => Ok(false),
        _ => Err(io::Error::other("the service answered neither yes nor no")),
    }
}
