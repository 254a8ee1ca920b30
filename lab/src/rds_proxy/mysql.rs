//! MySQL's side: the packets of a login with `mysql_native_password`.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::known::Known;

/// LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH.
const ABILITIES: u32 = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000;
const OK: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];

pub(super) async fn serve(known: &Known, mut stream: TcpStream) -> io::Result<()> {
    let nonce: [u8; 20] = rand::random::<[u8; 20]>().map(|byte| byte % 90 + 33);
    send(&mut stream, 0, &greeting(&nonce)).await?;
    let (user, answer) = login(&receive(&mut stream).await?)
        .ok_or_else(|| io::Error::other("a login packet without a user or a password"))?;
    let is_right = match known.password(&user) {
        Some(password) => {
            scramble(&password, &nonce)[..] == answer[..]
                && known.reaches_the_server(&user, &password).await?
        }
        None => false,
    };
    if !is_right {
        return send(&mut stream, 2, &refusal(&user)).await;
    }
    send(&mut stream, 2, &OK).await?;
    // The client says goodbye and goes.
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

fn greeting(nonce: &[u8; 20]) -> Vec<u8> {
    let abilities = ABILITIES.to_le_bytes();
    let mut packet = b"\x0a8.0.0-stand-in\0\x01\0\0\0".to_vec();
    packet.extend(&nonce[..8]);
    packet.push(0);
    packet.extend(&abilities[..2]);
    // The character set utf8mb4, and the status "autocommit".
    packet.extend([45, 2, 0]);
    packet.extend(&abilities[2..]);
    packet.push(21);
    packet.extend([0; 10]);
    packet.extend(&nonce[8..]);
    packet.extend(b"\0mysql_native_password\0");
    packet
}

/// The user and the scrambled password of a login packet, after 32 bytes of abilities and limits.
fn login(packet: &[u8]) -> Option<(String, Vec<u8>)> {
    let rest = packet.get(32..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let length = usize::from(*rest.get(end + 1)?);
    let answer = rest.get(end + 2..end + 2 + length)?;
    Some((String::from_utf8_lossy(&rest[..end]).into_owned(), answer.to_vec()))
}

/// SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password))).
fn scramble(password: &str, nonce: &[u8]) -> Vec<u8> {
    let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
    let once = sha1(password.as_bytes());
    let salted = sha1(&[nonce, &sha1(&once)].concat());
    once.iter().zip(salted).map(|(one, other)| one ^ other).collect()
}

fn refusal(user: &str) -> Vec<u8> {
    let words = format!("Access denied for user '{user}' (using password: YES)");
    [&[0xff][..], &1045u16.to_le_bytes(), b"#28000", words.as_bytes()].concat()
}

async fn send(stream: &mut TcpStream, number: u8, body: &[u8]) -> io::Result<()> {
    let length = (body.len() as u32).to_le_bytes();
    stream.write_all(&[&length[..3], &[number], body].concat()).await
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
