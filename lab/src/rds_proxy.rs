//! A stand-in for an RDS Proxy as AWS documents it: it lets a client in by what AWSCURRENT of a secret says, and logs in at the server
//! behind it with the same password. It reads the secret at each login, where the real one may answer from a cache. It takes logins
//! without TLS, and runs no statements.

mod known;
mod mysql;
mod postgres;

use std::io;

use mysql_async::{Conn, Error, OptsBuilder};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::NoTls;
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::error::SqlState;

use crate::secrets::Secrets;

pub use self::known::Behind;
use self::known::Known;

/// A running stand-in. Dropping it stops it.
pub struct RdsProxy {
    port: u16,
    behind: Behind,
    task: tokio::task::JoinHandle<()>,
}

impl RdsProxy {
    /// Starts a proxy with which this one secret is registered.
    pub async fn start(secrets: Secrets, secret: &str, behind: Behind) -> io::Result<RdsProxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let known = Known { secrets, secret: secret.to_owned(), behind: behind.clone() };
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(known.clone(), stream));
            }
        });
        Ok(RdsProxy { port, behind, task })
    }

    /// Whether a client with this value's user and password gets in through the proxy.
    pub async fn lets_in(&self, value: &Value) -> io::Result<bool> {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let (user, password) = (text("username"), text("password"));
        match self.behind {
            Behind::Postgres(_) => postgres_login(self.port, user, password).await,
            Behind::MySql(_) => mysql_login(self.port, user, password).await,
        }
    }
}

impl Drop for RdsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(known: Known, stream: TcpStream) {
    // A client that breaks off has its answer already, or wants none.
    let _ = match known.behind {
        Behind::Postgres(_) => postgres::serve(&known, stream).await,
        Behind::MySql(_) => mysql::serve(&known, stream).await,
    };
}

async fn postgres_login(port: u16, user: &str, password: &str) -> io::Result<bool> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname("postgres");
    match config.ssl_mode(SslMode::Disable).connect(NoTls).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => Ok(false),
        Err(error) => Err(io::Error::other(error)),
    }
}

async fn mysql_login(port: u16, user: &str, password: &str) -> io::Result<bool> {
    // With both limits given the driver asks nothing after the login.
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(user))
        .pass(Some(password))
        .prefer_socket(false)
        .max_allowed_packet(Some(1 << 20))
        .wait_timeout(Some(60));
    match Conn::new(options).await {
        Ok(session) => session.disconnect().await.map(|()| true).map_err(io::Error::other),
        Err(Error::Server(answer)) if answer.code == 1045 => Ok(false),
        Err(error) => Err(io::Error::other(error)),
    }
}
