//! A malicious server that pretends to be another. It follows a script, and keeps all that it receives.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lab::certs::{Authority, Kind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The limit for sending forever. A client hangs up before that.
const PATIENCE: Duration = Duration::from_secs(60);

/// One action of the script, which the server plays on every connection. At the end it sends nothing more and keeps the
/// connection.
#[derive(Clone, Debug)]
pub enum Line {
    /// Waits until the client has sent something.
    Hear,
    /// Waits for this number of bytes, and reads no further.
    HearExactly(usize),
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Sends these bytes again and again, as long as the client reads.
    SayForever(Vec<u8>),
    /// Sends this packet again and again, and counts its fourth byte up.
    CountForever(Vec<u8>),
    /// Does a TLS handshake, with a certificate of its own authority. Later lines use the encrypted connection.
    Encrypt,
    /// Ends the connection.
    HangUp,
}

/// The server. It stops when this value is dropped.
pub struct FakeServer {
    port: u16,
    authority: String,
    heard: Arc<Mutex<Vec<u8>>>,
    door: JoinHandle<()>,
}

impl FakeServer {
    /// Listens on a free port, and plays the script on each connection.
    pub async fn start(script: Vec<Line>) -> io::Result<FakeServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let authority = Authority::new();
        let tls = authority.issue(Kind::Good).acceptor()?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let door = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, ear, tls) = (script.clone(), Arc::clone(&ear), tls.clone());
                tokio::spawn(async move {
                    // The client decides how a connection ends. Only the received bytes matter.
                    let _ = welcome(stream, &script, &ear, &tls).await;
                });
            }
        });
        Ok(FakeServer { port, authority: authority.pem(), heard, door })
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority of its certificate, for secrets that should trust it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// All bytes that any client has sent.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.door.abort();
    }
}

/// Plays the lines before and after the handshake, if there is one.
async fn welcome(
    mut stream: TcpStream,
    script: &[Line],
    ear: &Mutex<Vec<u8>>,
    tls: &TlsAcceptor,
) -> io::Result<()> {
    if let Some(at) = script.iter().position(|line| matches!(line, Line::Encrypt)) {
        play(&mut stream, &script[..at], ear).await?;
        let mut stream = tls.accept(stream).await?;
        play(&mut stream, &script[at + 1..], ear).await?;
        return linger(&mut stream, ear).await;
    }
    play(&mut stream, script, ear).await?;
    linger(&mut stream, ear).await
}

async fn play<S>(stream: &mut S, script: &[Line], ear: &Mutex<Vec<u8>>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for line in script {
        match line {
            Line::Hear => hear(stream, ear).await?,
            Line::HearExactly(count) => {
                let mut bytes = vec![0; *count];
                stream.read_exact(&mut bytes).await?;
                keep(ear, &bytes);
            }
            Line::Say(bytes) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
            }
            Line::SayForever(bytes) => {
                let forever = async { while stream.write_all(bytes).await.is_ok() {} };
                let _ = tokio::time::timeout(PATIENCE, forever).await;
            }
            Line::CountForever(bytes) => {
                let mut bytes = bytes.clone();
                let forever = async {
                    while stream.write_all(&bytes).await.is_ok() {
                        bytes[3] = bytes[3].wrapping_add(1);
                    }
                };
                let _ = tokio::time::timeout(PATIENCE, forever).await;
            }
            Line::HangUp => return Err(io::ErrorKind::ConnectionAborted.into()),
            Line::Encrypt => unreachable!("a script has one handshake"),
        }
    }
    Ok(())
}

/// Sends nothing more, and keeps the connection until the client closes it.
async fn linger<S: AsyncRead + Unpin>(stream: &mut S, ear: &Mutex<Vec<u8>>) -> io::Result<()> {
    loop {
        hear(stream, ear).await?;
    }
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut S, ear: &Mutex<Vec<u8>>) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    let count = stream.read(&mut bytes).await?;
    keep(ear, &bytes[..count]);
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn keep(ear: &Mutex<Vec<u8>>, bytes: &[u8]) {
    ear.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
}
