//! The gate. It accepts sessions, checks and translates their statements, and words the answers as Redshift does.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tokio_rustls::TlsAcceptor;

use super::deployment::Deployment;
use super::setting::Session;
use super::translate;
use super::wire::{self, Start};
use crate::lock::locked;
use crate::servers::postgres;

/// The state that all sessions share.
pub(super) struct Gate {
    /// `None` if the gate offers no encryption.
    pub(super) tls: Option<TlsAcceptor>,
    /// PostgreSQL's port.
    pub(super) server: u16,
    /// Which of the two kinds of cluster this is.
    pub(super) deployment: Deployment,
    /// PostgreSQL's superuser and its password. It looks up facts about a user that only the views know.
    pub(super) superuser: (String, String),
    /// Every query, as it was sent.
    pub(super) queries: Arc<Mutex<Vec<String>>>,
}

/// Serves sessions until this future is dropped.
pub(super) async fn serve(gate: Gate, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let (user, password) = &gate.superuser;
    let superuser = postgres::connect("127.0.0.1", gate.server, user, password, "dev").await;
    let open = Arc::new(Open { superuser: superuser.map_err(io::Error::other)?, gate });
    let mut sessions = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await?;
        let open = Arc::clone(&open);
        sessions.spawn(async move {
            // The client itself sees its session end, so an error needs no report.
            let _ = open.welcome(client).await;
        });
        while sessions.try_join_next().is_some() {}
    }
}

/// The gate while it is open.
struct Open {
    gate: Gate,
    superuser: Client,
}

impl Open {
    async fn welcome(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        match wire::start(&mut client).await? {
            Start::Ssl => {}
            start => return self.session(start, client).await,
        }
        let Some(tls) = &self.gate.tls else {
            client.write_all(b"N").await?;
            let start = wire::start(&mut client).await?;
            return self.session(start, client).await;
        };
        client.write_all(b"S").await?;
        let mut client = tls.accept(client).await?;
        let start = wire::start(&mut client).await?;
        self.session(start, client).await
    }

    async fn session(&self, start: Start, mut client: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let Start::Session { message, user } = start else { return Ok(()) };
        if self.has_digest(&user).await? {
            client.write_all(&wire::digest_request()).await?;
            client.flush().await?;
            // The gate reads the answer, if any, and refuses the login in every case.
            let _ = wire::message(&mut client).await;
            let text = format!("password authentication failed for user \"{user}\"");
            client.write_all(&wire::fatal("28000", &text)).await?;
            return client.shutdown().await;
        }
        let mut server = TcpStream::connect(("127.0.0.1", self.gate.server)).await?;
        server.set_nodelay(true)?;
        server.write_all(&message).await?;
        let (client_reads, client_writes) = tokio::io::split(client);
        let (server_reads, server_writes) = server.split();
        let up = self.ask(BufReader::new(client_reads), server_writes);
        let down = answer(BufReader::new(server_reads), client_writes);
        // The session ends as soon as one side has ended.
        tokio::select! {
            ended = up => ended,
            ended = down => ended,
        }
    }

    /// Whether the user has a `sha256|` password.
    async fn has_digest(&self, user: &str) -> io::Result<bool> {
        let sql = "SELECT FROM pg_roles WHERE rolname = $1 AND standin.kept(rolconfig, 'sha256') IS NOT NULL";
        let rows = self.superuser.query(sql, &[&user]).await.map_err(io::Error::other)?;
        Ok(!rows.is_empty())
    }

    /// From the client to the server: queries are translated.
    async fn ask(&self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut session = Session::on(self.gate.deployment);
        while let Some((kind, body)) = wire::message(&mut from).await? {
            let body = match kind {
                b'Q' => self.translate(&mut session, &body, 0),
                // In a message for a prepared statement the name comes before the query, and the parameters' types after it.
                b'P' => {
                    let name = body.iter().position(|byte| *byte == 0).map_or(0, |end| end + 1);
                    self.translate(&mut session, &body, name)
                }
                _ => body,
            };
            to.write_all(&wire::bytes(kind, &body)).await?;
            to.flush().await?;
        }
        Ok(())
    }

    fn translate(&self, session: &mut Session, body: &[u8], from: usize) -> Vec<u8> {
        let text = &body[from..];
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        let sql = String::from_utf8_lossy(&text[..end]).into_owned();
        let translated = translate::query(session, &sql);
        locked(&self.gate.queries).push(sql);
        [&body[..from], translated.as_bytes(), &text[end..]].concat()
    }
}

/// From the server to the client.
async fn answer(
    mut from: BufReader<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut pending = Vec::new();
    while let Some((kind, body)) = wire::message(&mut from).await? {
        pending.extend(wire::redshift_answer(kind, body));
        // All messages that have arrived are passed on together.
        if from.buffer().is_empty() || pending.len() > 1 << 16 {
            to.write_all(&pending).await?;
            to.flush().await?;
            pending.clear();
        }
    }
    to.write_all(&pending).await?;
    to.shutdown().await
}
