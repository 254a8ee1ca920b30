//! One connection through the proxy: two streams of messages.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::RwLockReadGuard;

use super::framing::Framing;
use super::message::{Direction, Message, Place, Point};
use super::tls::{Opened, Stream};
use super::traffic::{Shared, Trap};
use crate::lock::locked;

/// Passes messages on until both sides have ended or a trap cuts the connection. Then both sockets are closed.
pub(super) async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect((&*shared.server.0, shared.server.1)).await else {
        return; // The server is not there. The client sees its connection close.
    };
    // Sends each message at once, so that the other side gets the same packets as without the proxy.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let number = {
        let mut log = locked(&shared.log);
        log.connections += 1;
        log.connections
    };
    let opened = match &shared.tls {
        None => Opened::plain(client, server, BytesMut::new()),
        Some(ends) => match ends.open(shared.protocol, client, server).await {
            Ok(opened) => opened,
            Err(_) => return, // A side broke off or refused the certificate. Both connections close.
        },
    };
    if opened.encrypted {
        locked(&shared.log).encrypted.insert(number);
    }
    let framing = Mutex::new(Framing::new(shared.protocol));
    let (client_reads, client_writes) = tokio::io::split(opened.client);
    let (server_reads, server_writes) = tokio::io::split(opened.server);
    let way = |direction| Way { direction, connection: number, framing: &framing, shared: &shared };
    let (up, down) = (way(Direction::ToServer), way(Direction::ToClient));
    // An error is a cut, or a side that broke off. The connection ends in either case.
    let _ = tokio::try_join!(
        up.pass(opened.said, client_reads, server_writes),
        down.pass(BytesMut::new(), server_reads, client_writes)
    );
}

struct Way<'a> {
    direction: Direction,
    connection: usize,
    framing: &'a Mutex<Framing>,
    shared: &'a Shared,
}

impl Way<'_> {
    /// Passes on the bytes that have arrived, then those that follow.
    async fn pass(
        &self,
        mut bytes: BytesMut,
        mut from: ReadHalf<Box<dyn Stream>>,
        mut to: WriteHalf<Box<dyn Stream>>,
    ) -> io::Result<()> {
        loop {
            loop {
                let Some((length, kind)) = locked(self.framing).first_message(self.direction, &bytes) else {
                    break;
                };
                let message = bytes.split_to(length);
                self.pass_message(&message, kind, &mut to).await?;
            }
            bytes.reserve(16 * 1024);
            if from.read_buf(&mut bytes).await? == 0 {
                break;
            }
        }
        to.write_all(&bytes).await?; // half a message, if the sender broke off in the middle
        to.shutdown().await
    }

    async fn pass_message(
        &self,
        message: &[u8],
        kind: u8,
        to: &mut WriteHalf<Box<dyn Stream>>,
    ) -> io::Result<()> {
        let delay = self.shared.delay_micros.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        let place = self.record(kind, message.len());
        self.spring(Point::before(place), self.shared.under_way.read().await).await?;
        let under_way = self.shared.under_way.read().await;
        to.write_all(message).await?;
        to.flush().await?; // TLS buffers until it is flushed
        self.spring(Point::after(place), under_way).await
    }

    fn record(&self, kind: u8, length: usize) -> Place {
        let mut log = locked(&self.shared.log);
        let is_goodbye = self.shared.protocol.is_goodbye(self.direction, kind, length);
        let place = log.place(self.connection, self.direction, is_goodbye);
        log.messages.push(Message { place, connection: self.connection, kind, length });
        place
    }

    /// Springs the trap at this point, if there is one. An error cuts the connection. A held message no longer counts as under
    /// way.
    async fn spring(&self, at: Point, under_way: RwLockReadGuard<'_, ()>) -> io::Result<()> {
        let trap = {
            let mut log = locked(&self.shared.log);
            log.traps.iter().position(|(point, _)| *point == at).map(|index| log.traps.remove(index).1)
        };
        match trap {
            None => Ok(()),
            Some(Trap::Cut(hook)) => {
                hook();
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Some(Trap::Hold { reached, release }) => {
                drop(under_way);
                let _ = reached.send(());
                // Released, or the holder has dropped it.
                let _ = release.await;
                Ok(())
            }
        }
    }
}
