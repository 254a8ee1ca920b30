//! Finds where messages begin and end, in each direction of a connection.

use super::message::Direction;
use super::resp;

/// The protocol that client and server speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL, protocol 3 ("Message Formats" in its manual).
    Postgres,
    /// MySQL and MariaDB, without compression ("MySQL Packets" in MySQL's source documentation).
    MySql,
    /// HTTP/1.1 (RFC 9112). A head and its body are one message, if the head gives the body's length.
    Http,
    /// Redis's protocol, RESP2 and RESP3. TLS begins with the connection, not with a request.
    Resp,
    /// Any protocol: each read is one message.
    Opaque,
}

impl Protocol {
    /// Whether a message only ends its connection: PostgreSQL's Terminate, MySQL's COM_QUIT.
    pub(super) fn is_goodbye(self, direction: Direction, kind: u8, length: usize) -> bool {
        direction == Direction::ToServer
            && match self {
                Protocol::Postgres => kind == b'X' && length == 5,
                Protocol::MySql => kind == 1 && length == 5,
                Protocol::Http | Protocol::Resp | Protocol::Opaque => false,
            }
    }

    /// Whether the client's first message asks for TLS.
    pub(super) fn asks_for_tls(self, message: &[u8]) -> bool {
        match self {
            Protocol::Postgres => message.get(4..8) == Some(&ENCRYPTION_REQUESTS[0].to_be_bytes()),
            Protocol::MySql => message.len() == SSL_REQUEST_LENGTH && message[5] & CLIENT_SSL != 0,
            Protocol::Http | Protocol::Resp | Protocol::Opaque => false,
        }
    }

    /// Whether a message of this length can only be a request for TLS. Logins are longer.
    pub(super) fn has_length_of_tls_request(self, length: usize) -> bool {
        match self {
            Protocol::Postgres => length == ENCRYPTION_REQUEST_LENGTH,
            Protocol::MySql => length == SSL_REQUEST_LENGTH,
            Protocol::Http | Protocol::Resp | Protocol::Opaque => false,
        }
    }
}

/// The state of one connection, which is needed to find the messages of both sides.
pub struct Framing {
    protocol: Protocol,
    /// PostgreSQL: the client's messages have no type byte yet. MySQL: the client has not answered the greeting.
    is_starting: bool,
    /// PostgreSQL: the client asked for encryption, so the answer will be a single byte.
    is_encryption_asked: bool,
}

/// PostgreSQL's codes of requests that are answered with one byte: SSLRequest and GSSENCRequest.
const ENCRYPTION_REQUESTS: [u32; 2] = [80_877_103, 80_877_104];
pub(super) const ENCRYPTION_REQUEST_LENGTH: usize = 8;

/// MySQL's CLIENT_SSL, a bit of the capability flags, and the length of a packet that holds only these flags.
const CLIENT_SSL: u8 = 0x08;
const SSL_REQUEST_LENGTH: usize = 4 + 32;

impl Framing {
    /// The state of a new connection.
    pub fn new(protocol: Protocol) -> Framing {
        Framing { protocol, is_starting: true, is_encryption_asked: false }
    }

    /// The length and kind of the first message in these bytes, if the message is complete.
    pub fn first_message(&mut self, direction: Direction, bytes: &[u8]) -> Option<(usize, u8)> {
        match self.protocol {
            Protocol::Postgres => self.postgres(direction, bytes),
            Protocol::MySql => self.mysql(direction, bytes),
            Protocol::Http => self.http(bytes),
            Protocol::Resp => resp::first_value(bytes).map(|length| (length, bytes[0])),
            Protocol::Opaque => bytes.first().map(|&kind| (bytes.len(), kind)),
        }
    }

    fn postgres(&mut self, direction: Direction, bytes: &[u8]) -> Option<(usize, u8)> {
        if direction == Direction::ToClient && self.is_encryption_asked {
            let &answer = bytes.first()?;
            self.is_encryption_asked = false;
            if answer == b'S' || answer == b'G' {
                self.protocol = Protocol::Opaque;
            }
            return Some((1, answer));
        }
        let has_type = direction == Direction::ToClient || !self.is_starting;
        let head = usize::from(has_type);
        // The length counts itself but not the type.
        let length = head + u32::from_be_bytes(*bytes.get(head..)?.first_chunk()?) as usize;
        let message = bytes.get(..length.max(head + 4))?;
        if !has_type {
            let code =
                message.get(4..8).and_then(|code| code.first_chunk()).map(|code| u32::from_be_bytes(*code));
            self.is_encryption_asked = code.is_some_and(|code| ENCRYPTION_REQUESTS.contains(&code));
            self.is_starting = self.is_encryption_asked;
        }
        Some((message.len(), if has_type { message[0] } else { 0 }))
    }

    fn mysql(&mut self, direction: Direction, bytes: &[u8]) -> Option<(usize, u8)> {
        let &[low, middle, high, _sequence] = bytes.first_chunk()?;
        let length = 4 + u32::from_le_bytes([low, middle, high, 0]) as usize;
        let message = bytes.get(..length)?;
        if direction == Direction::ToServer && self.is_starting {
            self.is_starting = false;
            if self.protocol.asks_for_tls(message) {
                self.protocol = Protocol::Opaque;
            }
        }
        Some((length, message.get(4).copied().unwrap_or(0)))
    }

    fn http(&mut self, bytes: &[u8]) -> Option<(usize, u8)> {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let field = |name: &[u8]| {
            bytes[..head].split(|&byte| byte == b'\n').find_map(|line| {
                let (found, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
                found.eq_ignore_ascii_case(name).then(|| value[1..].trim_ascii())
            })
        };
        if field(b"transfer-encoding").is_some() {
            self.protocol = Protocol::Opaque;
            return Some((head, bytes[0]));
        }
        let body = field(b"content-length").and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        let message = bytes.get(..head.saturating_add(body.unwrap_or(0)))?;
        Some((message.len(), message[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};

    /// Checks the messages that are found if the bytes arrive one at a time, which is the hardest case.
    #[track_caller]
    fn check(protocol: Protocol, traffic: &[(Direction, &[u8])], expected: &[(Direction, usize, u8)]) {
        let mut framing = Framing::new(protocol);
        let mut found = Vec::new();
        for &(direction, bytes) in traffic {
            let mut pending = Vec::new();
            for &byte in bytes {
                pending.push(byte);
                while let Some((length, kind)) = framing.first_message(direction, &pending) {
                    pending.drain(..length);
                    found.push((direction, length, kind));
                }
            }
            assert!(pending.is_empty(), "left over: {pending:?}");
        }
        assert_eq!(found, expected);
    }

    const STARTUP: &[u8] = &[0, 0, 0, 9, 0, 3, 0, 0, 0];
    const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

    #[test]
    fn postgres_plain() {
        let traffic: &[(Direction, &[u8])] = &[
            (ToServer, STARTUP),
            (ToClient, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"),
            (ToServer, b"Q\0\0\0\x06;\0X\0\0\0\x04"),
        ];
        let expected = [
            (ToServer, 9, 0),
            (ToClient, 9, b'R'),
            (ToClient, 6, b'Z'),
            (ToServer, 7, b'Q'),
            (ToServer, 5, b'X'),
        ];
        check(Protocol::Postgres, traffic, &expected);
    }

    #[test]
    fn postgres_without_encryption_after_all() {
        let traffic: &[(Direction, &[u8])] =
            &[(ToServer, SSL_REQUEST), (ToClient, b"N"), (ToServer, STARTUP), (ToClient, b"R\0\0\0\x04")];
        let expected = [(ToServer, 8, 0), (ToClient, 1, b'N'), (ToServer, 9, 0), (ToClient, 5, b'R')];
        check(Protocol::Postgres, traffic, &expected);
    }

    #[test]
    fn postgres_encrypted_is_opaque() {
        let traffic: &[(Direction, &[u8])] =
            &[(ToServer, SSL_REQUEST), (ToClient, b"S"), (ToServer, b"\x16\x03")];
        let expected = [(ToServer, 8, 0), (ToClient, 1, b'S'), (ToServer, 1, 0x16), (ToServer, 1, 3)];
        check(Protocol::Postgres, traffic, &expected);
    }

    #[test]
    fn postgres_nonsense_length_moves_on() {
        check(Protocol::Postgres, &[(ToServer, &[0, 0, 0, 0])], &[(ToServer, 4, 0)]);
    }

    #[test]
    fn mysql_plain() {
        let traffic: &[(Direction, &[u8])] = &[
            (ToClient, &[2, 0, 0, 0, 10, b'8']),
            (ToServer, &[1, 0, 0, 1, 0x85]),
            (ToServer, &[0, 0, 0, 3]),
        ];
        check(Protocol::MySql, traffic, &[(ToClient, 6, 10), (ToServer, 5, 0x85), (ToServer, 4, 0)]);
    }

    #[test]
    fn mysql_encrypted_is_opaque() {
        let mut request = vec![32, 0, 0, 1, 0x85, 0xaa];
        request.resize(SSL_REQUEST_LENGTH, 0);
        check(
            Protocol::MySql,
            &[(ToServer, &request), (ToClient, b"\x16")],
            &[(ToServer, 36, 0x85), (ToClient, 1, 0x16)],
        );
    }

    #[test]
    fn http_heads_and_bodies_are_one_message() {
        let traffic: &[(Direction, &[u8])] = &[
            (ToServer, b"POST / HTTP/1.1\r\nContent-LENGTH:  6 \r\nhost: a\r\n\r\n\r\n\r\n{}"),
            (ToClient, b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"),
            (ToServer, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ];
        let expected =
            [(ToServer, 55, b'P'), (ToClient, 27, b'H'), (ToClient, 39, b'H'), (ToServer, 27, b'G')];
        check(Protocol::Http, traffic, &expected);
    }

    #[test]
    fn http_in_pieces_is_opaque() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ncontent-length: 9\r\n\r\n";
        check(
            Protocol::Http,
            &[(ToClient, head), (ToClient, b"1\r"), (ToServer, b"G")],
            &[(ToClient, 66, b'H'), (ToClient, 1, b'1'), (ToClient, 1, b'\r'), (ToServer, 1, b'G')],
        );
    }
}
