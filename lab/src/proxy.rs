//! A TCP proxy in front of a database or an HTTP server, with faults; it knows where messages begin, not what they say.
//!
//! Plain PostgreSQL, MySQL, Redis and HTTP traffic is taken message by message, so that a fault lies exactly between two of them.
//! What is encrypted, or another protocol, is taken as it arrives: each read is one message. A proxy that has the server's
//! certificate and key ([`Proxy::opening_tls`]) takes encrypted traffic message by message as well.

mod framing;
mod logins;
mod message;
mod pump;
mod resp;
mod tls;
mod traffic;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{RwLock, oneshot};
use tokio::task::JoinHandle;

use crate::certs::Identity;
use crate::lock::locked;
use tls::Ends;
use traffic::{Shared, Trap};

pub use framing::{Framing, Protocol};
pub use message::{Direction, Message, Place, Point};

/// What becomes of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// It is connected with the server.
    Pass,
    /// It is refused: nobody listens.
    Refuse,
    /// It is accepted and closed at once.
    Close,
    /// It is accepted, and nothing is ever said.
    Silence,
    /// It is not even answered, as if a firewall dropped the packets.
    DropPackets,
}

/// The proxy. Dropping it ends its connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    door: tokio::sync::Mutex<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1, in front of this server.
    pub async fn start(protocol: Protocol, host: &str, port: u16) -> io::Result<Proxy> {
        Proxy::new(protocol, host, port, None).await
    }

    /// The same for a server with this certificate and key. TLS ends at the proxy, and begins anew towards the server.
    pub async fn opening_tls(
        protocol: Protocol,
        host: &str,
        port: u16,
        identity: &Identity,
    ) -> io::Result<Proxy> {
        Proxy::new(protocol, host, port, Some(Ends::new(identity)?)).await
    }

    async fn new(protocol: Protocol, host: &str, port: u16, tls: Option<Ends>) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            protocol,
            server: (host.to_owned(), port),
            tls,
            log: Mutex::default(),
            delay_micros: AtomicU64::new(0),
            under_way: RwLock::default(),
            connections: Mutex::default(),
        });
        let door = tokio::sync::Mutex::new(tokio::spawn(pass(listener, Arc::clone(&shared))));
        Ok(Proxy { address, shared, door })
    }

    /// The port it listens on, whatever happens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Decides what becomes of connections from now on; those that exist stay.
    pub async fn welcome(&self, welcome: Welcome) -> io::Result<()> {
        let mut door = self.door.lock().await;
        let old = std::mem::replace(&mut *door, tokio::spawn(std::future::ready(())));
        old.abort();
        // The listener is closed when the task has ended; it was aborted, so its end says nothing.
        let _ = old.await;
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?; // or connections that just ended would keep the port
        socket.bind(self.address)?;
        let shared = Arc::clone(&self.shared);
        *door = match welcome {
            Welcome::Pass => tokio::spawn(pass(socket.listen(1024)?, shared)),
            // A socket that is bound and does not listen keeps the port, and connections to it are refused.
            Welcome::Refuse => tokio::spawn(keep(socket)),
            Welcome::Close => tokio::spawn(close(socket.listen(1024)?)),
            // The kernel completes connections by itself as long as there is room for those not accepted.
            Welcome::Silence => tokio::spawn(keep(socket.listen(1024)?)),
            // One connection fills a queue of length 0; the kernel drops the packets of all others.
            Welcome::DropPackets => {
                let listener = socket.listen(0)?;
                let only = TcpStream::connect(self.address).await?;
                tokio::spawn(keep((listener, only)))
            }
        };
        Ok(())
    }

    /// Cuts the connection at this point, once.
    pub fn cut(&self, at: Point) {
        self.cut_with(at, || {});
    }

    /// At this point, once: runs the hook, then cuts the connection. (So a process killed by the hook is dead when the
    /// server learns that its client is gone.)
    pub fn cut_with(&self, at: Point, hook: impl FnOnce() + Send + 'static) {
        locked(&self.shared.log).traps.push((at, Trap::Cut(Box::new(hook))));
    }

    /// Stops the traffic of this direction and connection at this point, once, until it is released.
    pub fn hold(&self, at: Point) -> Held {
        let (reach, reached) = oneshot::channel();
        let (let_go, release) = oneshot::channel();
        locked(&self.shared.log).traps.push((at, Trap::Hold { reached: reach, release }));
        Held { reached, let_go }
    }

    /// Whether a cut or hold is left that was not reached. Who has read the last message can ask before the cut after it is made:
    /// then this waits for the cut.
    pub async fn is_armed(&self) -> bool {
        let _nothing_under_way = self.shared.under_way.write().await;
        !locked(&self.shared.log).traps.is_empty()
    }

    /// Cuts every connection that exists, and returns when they are closed.
    pub async fn cut_all(&self) {
        let mut connections = std::mem::take(&mut *locked(&self.shared.connections));
        connections.shutdown().await;
    }

    /// Makes every message wait before it is passed on.
    pub fn delay(&self, delay: Duration) {
        let micros = delay.as_micros().try_into().expect("a delay is shorter than 500,000 years");
        self.shared.delay_micros.store(micros, Ordering::SeqCst);
    }

    /// How many connections were passed on.
    pub fn connections(&self) -> usize {
        locked(&self.shared.log).connections
    }

    /// All messages that came, in their order.
    pub fn messages(&self) -> Vec<Message> {
        locked(&self.shared.log).messages.clone()
    }

    /// On how many connections the client said who it is.
    pub fn logins_sent(&self) -> usize {
        logins::sent(self.shared.protocol, &self.messages())
    }

    /// On how many connections the client said who it is for all to read. Only a proxy that opens TLS can tell.
    pub fn logins_in_clear_text(&self) -> usize {
        let mut messages = self.messages();
        let encrypted = locked(&self.shared.log).encrypted.clone();
        messages.retain(|message| !encrypted.contains(&message.connection));
        logins::sent(self.shared.protocol, &messages)
    }

    /// On how many connections the server refused the login.
    pub fn logins_refused(&self) -> usize {
        logins::refused(self.shared.protocol, &self.messages())
    }

    /// Forgets messages, cuts and holds; conversations and messages are numbered from 1 again.
    pub fn clear(&self) {
        locked(&self.shared.log).clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.door.get_mut().abort();
        locked(&self.shared.connections).abort_all();
    }
}

/// A point where traffic will stop, or has stopped. Dropping it lets the traffic go on.
pub struct Held {
    reached: oneshot::Receiver<()>,
    let_go: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the traffic stands at the point.
    pub async fn reached(&mut self) {
        // An error means that the proxy, or the point, is no more: then nothing will ever stand there.
        if (&mut self.reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Lets the traffic go on.
    pub fn release(self) {
        // An error means that the connection has ended.
        let _ = self.let_go.send(());
    }
}

async fn pass(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut connections = locked(&shared.connections);
        while connections.try_join_next().is_some() {} // those that have ended
        connections.spawn(pump::connection(client, Arc::clone(&shared)));
    }
}

async fn close(listener: TcpListener) {
    while let Ok((client, _)) = listener.accept().await {
        drop(client);
    }
}

async fn keep<T>(_kept: T) {
    std::future::pending().await
}
