//! A stream that watches what the server asks for. Whether it wanted the password at all decides whether a login proves
//! anything, and the driver does not tell.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::form::StoredAs;

/// Nothing that we ask for has an answer near this, in one message or in many; a server that says more wants our memory.
const LARGEST: usize = 16 << 20;
/// Before the login is over, even all messages together are small.
const LARGEST_EARLY: usize = 64 << 10;

/// The authentication messages (PostgreSQL manual, "Message Formats").
mod request {
    pub(super) const OK: i32 = 0;
    pub(super) const CLEARTEXT: i32 = 3;
    pub(super) const MD5: i32 = 5;
    pub(super) const SASL: i32 = 10;
    /// Redshift's own, for users whose password was set as `sha256|...`.
    pub(super) const DIGEST: i32 = 13;
    /// Not a message: what `asked` holds before there was any.
    pub(super) const NONE: i32 = -1;
}

/// What the server has asked for so far; shared with the reader of the login's outcome.
#[derive(Clone)]
pub(crate) struct Asked(Arc<AtomicI32>);

impl Asked {
    /// The form of a stored password that the server can check in the way that it has asked for; `None` if it has not asked for
    /// the password. In clear text it can check either, and only SCRAM stays good if it asks for more one day.
    pub(crate) fn form(&self) -> Option<StoredAs> {
        match self.0.load(Ordering::Relaxed) {
            request::MD5 => Some(StoredAs::Md5),
            request::CLEARTEXT | request::SASL => Some(StoredAs::Scram),
            _ => None,
        }
    }
}

/// The stream, and how far into which message it is.
pub(crate) struct Watched<S> {
    stream: S,
    encrypted: bool,
    binding: Option<Vec<u8>>,
    asked: Asked,
    header: Vec<u8>,
    body_left: usize,
    /// How much the server has announced since it was ready last.
    said: usize,
    authenticated: bool,
    /// Whether our side has said all that it will.
    is_shut: bool,
}

impl<S> Watched<S> {
    /// Watches a stream; `binding` ties the login to an encrypted one.
    pub(crate) fn new(stream: S, encrypted: bool, binding: Option<Vec<u8>>) -> Watched<S> {
        let asked = Asked(Arc::new(AtomicI32::new(request::NONE)));
        Watched {
            stream,
            encrypted,
            binding,
            asked,
            header: Vec::new(),
            body_left: 0,
            said: 0,
            authenticated: false,
            is_shut: false,
        }
    }

    /// Leaves our side open until the server has closed its side. A cancellation needs this: PgBouncer forgets one whose sender is gone.
    pub(crate) fn kept_open(self) -> Watched<S> {
        Watched { is_shut: true, ..self }
    }

    /// What the server asks for, from now on.
    pub(crate) fn asked(&self) -> Asked {
        self.asked.clone()
    }

    /// Follows the messages through newly arrived bytes.
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let take = bytes.len().min(self.wanted());
            let (now, later) = bytes.split_at(take);
            bytes = later;
            if self.header.len() < self.header_length() {
                self.header.extend_from_slice(now);
                match self.header.len() {
                    5 => self.announced()?,
                    9 => self.asks()?,
                    _ => {}
                }
            } else {
                self.body_left -= take;
            }
            if self.wanted() == 0 {
                self.header.clear();
            }
        }
        Ok(())
    }

    /// How many bytes the current part of the message still lacks.
    fn wanted(&self) -> usize {
        match self.header.len() {
            0..5 => 5 - self.header.len(),
            length if length < self.header_length() => self.header_length() - length,
            _ => self.body_left,
        }
    }

    /// Of an authentication message the request code counts as part of the header.
    fn header_length(&self) -> usize {
        if self.header.first() == Some(&b'R') { 9 } else { 5 }
    }

    /// The header is complete: how long is the message?
    fn announced(&mut self) -> io::Result<()> {
        let length =
            u32::from_be_bytes([self.header[1], self.header[2], self.header[3], self.header[4]]) as usize;
        let (least, most) = (
            if self.header[0] == b'R' { 8 } else { 4 },
            if self.authenticated { LARGEST } else { LARGEST_EARLY },
        );
        self.said = self.said.saturating_add(length);
        if length < least || self.said > most {
            return Err(io::Error::other(format!("the server announced a message of {length} bytes")));
        }
        if self.header[0] == b'Z' {
            self.said = 0;
        }
        // What is left behind the header, and behind the code of an authentication message.
        self.body_left = length - least;
        Ok(())
    }

    /// The request code is there.
    fn asks(&mut self) -> io::Result<()> {
        let code = i32::from_be_bytes([self.header[5], self.header[6], self.header[7], self.header[8]]);
        match code {
            request::CLEARTEXT if !self.encrypted => {
                return Err(io::Error::other(CleartextRefused));
            }
            request::DIGEST => return Err(io::Error::other(DigestUnspoken)),
            request::OK => self.authenticated = true,
            request::CLEARTEXT | request::MD5 | request::SASL => self.asked.0.store(code, Ordering::Relaxed),
            _ => {}
        }
        Ok(())
    }
}

/// The server wanted the password as it is, over a connection that anyone on the way can read.
#[derive(Debug)]
pub(crate) struct CleartextRefused;

impl std::fmt::Display for CleartextRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server asks for the password in clear text, and the connection is not encrypted")
    }
}

impl std::error::Error for CleartextRefused {}

/// The server wanted what only Redshift's own drivers speak.
#[derive(Debug)]
pub(crate) struct DigestUnspoken;

impl std::fmt::Display for DigestUnspoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server asks for authentication message 13, which is for passwords set as sha256|...")
    }
}

impl std::error::Error for DigestUnspoken {}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let outcome = self.follow(&buf.filled()[before..]);
        Poll::Ready(outcome)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes our side, then waits until the server has closed its side. The server closes a connection after it has let go of the session's locks and
    /// of its place under a CONNECTION LIMIT, so a step that waits for this leaves no session for the next step to meet.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        let mut scrap = [0; 512];
        loop {
            let mut last_words = ReadBuf::new(&mut scrap);
            // A connection that breaks has ended, too.
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut last_words));
            if read.is_err() || last_words.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.binding {
            Some(digest) => ChannelBinding::tls_server_end_point(digest.clone()),
            None => ChannelBinding::none(),
        }
    }
}

/// Hands the driver a stream on which the handshake is over.
pub(crate) struct AlreadyTls;

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<Watched<S>> for AlreadyTls {
    type Stream = Watched<S>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Watched<S>, Self::Error>>;

    fn connect(self, stream: Watched<S>) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    /// Feeds a conversation in pieces of every size, and says what was seen.
    #[track_caller]
    fn check(messages: &[Vec<u8>], encrypted: bool, expected: Result<Option<StoredAs>, &str>) {
        let bytes = messages.concat();
        for size in 1..=bytes.len() {
            let mut watched = Watched::new((), encrypted, None);
            let outcome = bytes.chunks(size).try_for_each(|chunk| watched.follow(chunk));
            let seen = outcome.map(|()| watched.asked().form()).map_err(|error| error.to_string());
            assert_eq!(seen, expected.map_err(str::to_owned), "in pieces of {size}");
        }
    }

    #[test]
    fn what_the_server_asks_for_is_seen_however_the_bytes_arrive() {
        let ok = message(b'R', &0_i32.to_be_bytes());
        let ready = [message(b'S', b"a\0b\0"), message(b'K', &[0; 8]), message(b'Z', b"I")].concat();
        let sasl = message(b'R', &[&10_i32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat());
        let md5 = message(b'R', &[&5_i32.to_be_bytes()[..], &[1, 2, 3, 4]].concat());
        let clear = message(b'R', &3_i32.to_be_bytes());
        check(&[ok.clone(), ready.clone()], true, Ok(None));
        check(
            &[sasl, message(b'R', &[&12_i32.to_be_bytes()[..], b"v=x"].concat()), ok.clone(), ready.clone()],
            true,
            Ok(Some(StoredAs::Scram)),
        );
        check(&[md5, ok.clone(), ready.clone()], false, Ok(Some(StoredAs::Md5)));
        check(&[clear.clone(), ok.clone(), ready], true, Ok(Some(StoredAs::Scram)));
        let digest = message(b'R', &[&13_i32.to_be_bytes()[..], &[0; 76]].concat());
        check(
            &[digest],
            true,
            Err("the server asks for authentication message 13, which is for passwords set as sha256|..."),
        );
        check(
            &[clear],
            false,
            Err("the server asks for the password in clear text, and the connection is not encrypted"),
        );
    }

    #[test]
    fn a_server_that_sends_messages_without_end_is_cut_off() {
        let huge = [&b"R"[..], &u32::MAX.to_be_bytes()].concat();
        check(&[huge], true, Err("the server announced a message of 4294967295 bytes"));
        let early = [&b"E"[..], &100_000_u32.to_be_bytes()].concat();
        check(&[early], true, Err("the server announced a message of 100000 bytes"));
        let short = [&b"R"[..], &4_u32.to_be_bytes()].concat();
        check(&[short], true, Err("the server announced a message of 4 bytes"));
        check(&[message(b'R', &0_i32.to_be_bytes()), message(b'D', &vec![0; 100_000])], true, Ok(None));
    }

    #[test]
    fn many_small_messages_are_counted_together_until_the_server_is_ready() {
        let notice = || message(b'N', &[0; 30_000]);
        check(&[notice(), notice(), notice()], true, Err("the server announced a message of 30004 bytes"));
        let ok = message(b'R', &0_i32.to_be_bytes());
        let (row, ready) = (message(b'D', &vec![0; LARGEST / 3]), message(b'Z', b"I"));
        let follow = |messages: &[Vec<u8>]| {
            let mut watched = Watched::new((), true, None);
            messages.iter().try_for_each(|message| watched.follow(message)).is_ok()
        };
        assert!(follow(&[
            ok.clone(),
            row.clone(),
            row.clone(),
            ready.clone(),
            row.clone(),
            row.clone(),
            ready
        ]));
        assert!(!follow(&[ok, row.clone(), row.clone(), row]));
    }
}
