//! Sends the few bytes with which a client asks a database server for TLS, and nothing after them.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::value::Wire;

/// Asks for TLS. Returns true if the handshake may begin. If the server refuses the client, the error is `ConnectionRefused`.
pub(super) async fn ask_for_tls<S>(wire: Wire, stream: &mut S) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match wire {
        Wire::Postgres => postgres(stream).await,
        Wire::MySql => mysql(stream).await,
    }
}

/// Sends SSLRequest, a length and a code. The server answers with one letter ("Message Formats", PostgreSQL documentation).
async fn postgres<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<bool> {
    stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await?;
    match stream.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        other => Err(io::Error::other(format!("it answered with byte {other}"))),
    }
}

/// Reads the capabilities in Protocol::HandshakeV10 and answers Protocol::SSLRequest ("Connection Phase Packets", MySQL).
async fn mysql<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<bool> {
    const PROTOCOL_41: u32 = 0x200;
    const SSL: u32 = 0x800;
    const SECURE_CONNECTION: u32 = 0x8000;
    const CHARSET_UTF8MB4: u8 = 45;
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    if length > 4096 {
        return Err(io::Error::other("its greeting is too long"));
    }
    let mut greeting = vec![0; length as usize];
    stream.read_exact(&mut greeting).await?;
    if let [0xff, low, high, text @ ..] = &greeting[..] {
        let text: String = String::from_utf8_lossy(text).chars().filter(|it| !it.is_control()).collect();
        let code = u16::from_le_bytes([*low, *high]);
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, format!("error {code}, {text}")));
    }
    // Version text up to a zero, connection id (4), first half of the challenge (8), a zero, then the capabilities (2).
    let end = greeting.iter().skip(1).position(|byte| *byte == 0).map(|at| at + 2);
    let capabilities = end.and_then(|end| greeting.get(end + 13..end + 15));
    let Some(&[low, high]) = capabilities.filter(|_| greeting[0] == 10) else {
        return Err(io::Error::other("its greeting is not MySQL's"));
    };
    if u32::from(u16::from_le_bytes([low, high])) & SSL == 0 {
        return Ok(false);
    }
    let mut request = vec![32, 0, 0, 1];
    request.extend((PROTOCOL_41 | SSL | SECURE_CONNECTION).to_le_bytes());
    request.extend((1u32 << 24).to_le_bytes());
    request.push(CHARSET_UTF8MB4);
    request.extend([0; 23]);
    stream.write_all(&request).await?;
    Ok(true)
}
