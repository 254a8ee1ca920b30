//! Reaching a server: TCP, and the question for TLS that comes before it. The server does not learn yet who wants to log in.

use rotation::database::account::{Server, Tls};
use rotation::deadline::Deadline;
use rotation::error::{Error, Kind, Result};
use rotation::reach::net::{self, TlsStream};
use rotation::reach::tls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection on which nobody has begun to log in.
pub enum Stream {
    /// Without TLS.
    Plaintext(TcpStream),
    /// With TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// Connects as the server's settings demand, and stops before the login.
pub(crate) async fn reach(deadline: Deadline, server: &Server) -> Result<Stream> {
    let Server { host, port, tls, .. } = server;
    let stream = net::dial_within(server.patience(), deadline, host, *port).await?;
    let Tls::Verified { roots } = tls else { return Ok(Stream::Plaintext(stream)) };
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let config = tls::client_config(&roots)?;
    let stream = ask_for_tls(deadline, server, stream).await?;
    let stream = net::handshake(deadline, config, host, *port, stream).await?;
    Ok(Stream::Encrypted(Box::new(stream)))
}

/// Asks whether the server offers TLS: one question, answered by one letter (PostgreSQL manual, "SSL Session Encryption").
async fn ask_for_tls<S: AsyncRead + AsyncWrite + Unpin>(
    deadline: Deadline,
    server: &Server,
    mut stream: S,
) -> Result<S> {
    let Server { host, port, .. } = server;
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut answer = [0];
    let ask = async {
        stream.write_all(&REQUEST).await?;
        stream.read_exact(&mut answer).await
    };
    let what = format!("an answer to the TLS request from {host}:{port}");
    let asked = deadline.within(server.patience(), what, ask).await.map_err(|error| {
        error.remedy("something accepts connections there and says nothing: check that host and port are a PostgreSQL server's")
    })?;
    asked.map_err(|error| {
        Error::new(Kind::Unreachable, format!("{host}:{port} broke the connection off when asked for TLS"))
            .because(&error)
    })?;
    match answer {
        [b'S'] => Ok(stream),
        [b'N'] => Err(Error::new(Kind::Unreachable, format!("{host}:{port} does not offer TLS"))
            .remedy("switch TLS on at the server (ssl = on); only if that cannot be, put \"ssl\": false into the secret")),
        _ => Err(Error::new(Kind::Unreachable, format!("{host}:{port} does not speak PostgreSQL's protocol"))),
    }
}
