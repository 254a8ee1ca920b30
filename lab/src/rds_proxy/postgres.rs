//! PostgreSQL's side: the messages of a login with a password in clear text.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::known::Known;

/// The number that asks for TLS instead of opening a session.
const TLS: u32 = 80_877_103;
const ASK_FOR_PASSWORD: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];
/// AuthenticationOk, then ReadyForQuery.
const WELCOME: [u8; 15] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];

pub(super) async fn serve(known: &Known, mut stream: TcpStream) -> io::Result<()> {
    let user = loop {
        let startup = message(&mut stream).await?;
        if startup.get(..4) != Some(&TLS.to_be_bytes()[..]) {
            break user(&startup[4..]).ok_or_else(|| io::Error::other("a startup message without a user"))?;
        }
        stream.write_all(b"N").await?;
    };
    stream.write_all(&ASK_FOR_PASSWORD).await?;
    stream.read_u8().await?;
    let password = message(&mut stream).await?;
    let sent = String::from_utf8_lossy(&password).trim_end_matches('\0').to_owned();
    let is_right =
        known.password(&user) == Some(sent.clone()) && known.reaches_the_server(&user, &sent).await?;
    if !is_right {
        return stream.write_all(&refusal(&user)).await;
    }
    stream.write_all(&WELCOME).await?;
    // The client says goodbye and goes.
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

/// A message's body after its length.
async fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?.saturating_sub(4).min(1 << 16);
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// The user among the parameters of a startup message.
fn user(parameters: &[u8]) -> Option<String> {
    let mut words = parameters.split(|byte| *byte == 0);
    words.find(|word| word == b"user")?;
    words.next().map(|user| String::from_utf8_lossy(user).into_owned())
}

fn refusal(user: &str) -> Vec<u8> {
    let fields =
        format!("SFATAL\0VFATAL\0C28P01\0MThe password that was provided for the role {user} is wrong.\0\0");
    let length = (fields.len() as u32 + 4).to_be_bytes();
    [b"E", &length[..], fields.as_bytes()].concat()
}
