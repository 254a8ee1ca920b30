//! A server that pretends to be PostgreSQL and means harm. What it says is a script; what it hears is kept.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it does, in order, on every connection; then it says nothing more and keeps the connection.
#[derive(Clone, Debug)]
pub enum Line {
    /// Waits until the client has said something.
    Hear,
    /// Says these bytes.
    Say(Vec<u8>),
    /// Says these bytes again and again, for as long as the client listens.
    SayForever(Vec<u8>),
    /// Ends the connection.
    HangUp,
}

/// A message: its type, and its content.
pub fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).expect("a test's message is small");
    [&[kind], &length.to_be_bytes()[..], content].concat()
}

/// An authentication message: its code, and what belongs to it.
pub fn authentication(code: u32, content: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes()[..], content].concat())
}

/// The server. Dropping it ends it.
pub struct FakePostgres {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    door: JoinHandle<()>,
}

impl FakePostgres {
    /// Listens on a free port and plays the script on each connection.
    pub async fn start(script: Vec<Line>) -> io::Result<FakePostgres> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let door = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, ear) = (script.clone(), Arc::clone(&ear));
                tokio::spawn(async move {
                    // How a connection ends is the client's affair; what it said is kept.
                    let _ = play(stream, &script, &ear).await;
                });
            }
        });
        Ok(FakePostgres { port, heard, door })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything that any client said.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FakePostgres {
    fn drop(&mut self) {
        self.door.abort();
    }
}

async fn play(stream: TcpStream, script: &[Line], ear: &Mutex<Vec<u8>>) -> io::Result<()> {
    let (mut reads, mut writes) = stream.into_split();
    let mut buffer = vec![0; 16 * 1024];
    let mut hear = async || {
        let count = reads.read(&mut buffer).await?;
        ear.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        if count == 0 { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) } else { Ok(()) }
    };
    for line in script {
        match line {
            Line::Hear => hear().await?,
            Line::Say(bytes) => writes.write_all(bytes).await?,
            Line::SayForever(bytes) => {
                // The client hangs up in the end; a minute is for one that never does.
                let forever = async { while writes.write_all(bytes).await.is_ok() {} };
                let _ = tokio::time::timeout(Duration::from_secs(60), forever).await;
            }
            Line::HangUp => return Ok(()),
        }
    }
    loop {
        hear().await?;
    }
}
