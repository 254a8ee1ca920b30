//! The messages of PostgreSQL's protocol that the gate reads and writes (PostgreSQL's manual, "Message Formats").

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The code of the request for encryption.
const SSL: u32 = 80_877_103;
/// Protocol 3.0, the only one Redshift's drivers speak.
const VERSION: u32 = 196_608;

/// A client's first message.
pub(super) enum Start {
    /// It asks for encryption.
    Ssl,
    /// It opens a session: the message as it was sent, and the user.
    Session { message: Vec<u8>, user: String },
    /// Another request, which the gate does not serve.
    Other,
}

/// Reads the first message, which has no type.
pub(super) async fn start(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Start> {
    let length = from.read_u32().await?;
    if !(8..=10_000).contains(&length) {
        return Ok(Start::Other);
    }
    let mut body = vec![0; length as usize - 4];
    from.read_exact(&mut body).await?;
    let code = u32::from_be_bytes(*body.first_chunk().expect("at least four bytes"));
    Ok(match code {
        SSL => Start::Ssl,
        VERSION => {
            let parameters = String::from_utf8_lossy(&body[4..]).into_owned();
            let words: Vec<&str> = parameters.split('\0').collect();
            let user = words.chunks(2).find(|pair| pair[0] == "user").and_then(|pair| pair.get(1));
            let user = user.copied().unwrap_or_default().to_owned();
            Start::Session { message: [&length.to_be_bytes()[..], &body].concat(), user }
        }
        _ => Start::Other,
    })
}

/// Reads one message of a session; `None` when the sender has closed the connection.
pub(super) async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(u8, Vec<u8>)>> {
    let kind = match from.read_u8().await {
        Ok(kind) => kind,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = from.read_u32().await?.saturating_sub(4);
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body).await?;
    Ok(Some((kind, body)))
}

/// A message's bytes.
pub(super) fn bytes(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("messages are far smaller");
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// AuthenticationDigest, which only Redshift has and its own drivers answer: algorithm SHA-256, salt, nonce.
pub(super) fn digest_request() -> Vec<u8> {
    let (salt, nonce) = ([7; 32], [9; 32]);
    let part = |bytes: &[u8]| [&32_u32.to_be_bytes()[..], bytes].concat();
    bytes(b'R', &[&13_u32.to_be_bytes()[..], &0_u32.to_be_bytes(), &part(&salt), &part(&nonce)].concat())
}

/// An error that ends a login.
pub(super) fn fatal(code: &str, text: &str) -> Vec<u8> {
    bytes(b'E', format!("SFATAL\0C{code}\0M{text}\0\0").as_bytes())
}

/// Rewrites PostgreSQL's answers that Redshift words differently: its version, and the code of a wrong password, which PostgreSQL 8.0
/// did not yet distinguish (seen in reports to AWS's own drivers: `28000: password authentication failed`).
pub(super) fn redshift_answer(kind: u8, mut body: Vec<u8>) -> Vec<u8> {
    if kind == b'S' && body.starts_with(b"server_version\0") {
        body = b"server_version\x008.0.2\0".to_vec();
    }
    if kind == b'E' {
        let code = b"\0C28P01\0";
        if let Some(at) = body.windows(code.len()).position(|part| part == code) {
            body[at + 2..at + 7].copy_from_slice(b"28000");
        }
    }
    bytes(kind, &body)
}
