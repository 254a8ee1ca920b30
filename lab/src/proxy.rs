//! A TCP proxy in front of a database or an HTTP server, with faults. It knows where messages begin, not what they mean.
//!
//! The proxy passes on plain PostgreSQL, MySQL, Redis and HTTP traffic message by message, so that a fault lies exactly between
//! two messages. For encrypted traffic and other protocols, each read is one message. A proxy that has the server's certificate
//! and key ([`Proxy::opening_tls`]) passes on encrypted traffic message by message as well.

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
use tls::BothSides;
use traffic::{Shared, Trap};

pub use framing::{Framing, Protocol};
pub use message::{Direction, Message, Place, Point};

/// What the proxy does with a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConnect {
    /// Connects it with the server.
    Pass,
    /// Refuses it, as if nobody listened.
    Refuse,
    /// Accepts it and closes it at once.
    Close,
    /// Accepts it and never sends anything.
    Silence,
    /// Accepts it, and passes nothing on for this long, counted from now, like a server that has to wake up.
    Asleep(Duration),
    /// Does not answer it, as if a firewall dropped the packets.
    DropPackets,
}

/// A socket that is bound to an address and does not listen yet. It shares the address with sockets that do not listen, and with
/// connections that have just ended.
fn socket_at(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// A listener that frees its port when it is dropped. To close it would not be enough: while another thread starts a process, that
/// process has a copy of every open socket.
struct Door(TcpListener);

impl Door {
    fn open(socket: TcpSocket, waiting: u32) -> io::Result<Door> {
        socket.listen(waiting).map(Door)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It can only fail if the socket does not listen any more.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Read);
    }
}

/// The proxy. Dropping it ends its connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    door: tokio::sync::Mutex<JoinHandle<()>>,
    /// A socket that never listens. It keeps the port from others while no listener does.
    _anchor: TcpSocket,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1, in front of this server.
    pub async fn start(protocol: Protocol, host: &str, port: u16) -> io::Result<Proxy> {
        Proxy::new(protocol, host, port, None).await
    }

    /// The same for a server with this certificate and key. The proxy decrypts the client's TLS and opens TLS of its own to the
    /// server.
    pub async fn opening_tls(
        protocol: Protocol,
        host: &str,
        port: u16,
        identity: &Identity,
    ) -> io::Result<Proxy> {
        Proxy::new(protocol, host, port, Some(BothSides::new(identity)?)).await
    }

    async fn new(protocol: Protocol, host: &str, port: u16, tls: Option<BothSides>) -> io::Result<Proxy> {
        let anchor = socket_at(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = anchor.local_addr()?;
        let listener = Door::open(socket_at(address)?, 1024)?;
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
        Ok(Proxy { address, shared, door, _anchor: anchor })
    }

    /// The port of the proxy. It never changes.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Decides how new connections are treated from now on. Existing connections stay.
    pub async fn on_connect(&self, action: OnConnect) -> io::Result<()> {
        let mut door = self.door.lock().await;
        let old = std::mem::replace(&mut *door, tokio::spawn(std::future::ready(())));
        old.abort();
        // The task has to end so that its listener closes. It was aborted, so its result means nothing.
        let _ = old.await;
        let socket = socket_at(self.address)?;
        let shared = Arc::clone(&self.shared);
        *door = match action {
            OnConnect::Pass => tokio::spawn(pass(Door::open(socket, 1024)?, shared)),
            // A socket that is bound but does not listen keeps the port and refuses connections.
            OnConnect::Refuse => tokio::spawn(keep(socket)),
            OnConnect::Close => tokio::spawn(close(Door::open(socket, 1024)?)),
            // The kernel accepts connections by itself as long as its queue has room.
            OnConnect::Silence => tokio::spawn(keep(Door::open(socket, 1024)?)),
            OnConnect::Asleep(time) => tokio::spawn(wake(time, Door::open(socket, 1024)?, shared)),
            // One connection fills a queue of length 0; the kernel drops the packets of all others.
            OnConnect::DropPackets => {
                let listener = Door::open(socket, 0)?;
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

    /// Runs the hook at this point, once, then cuts the connection. A process killed by the hook is therefore dead when the
    /// server notices the cut.
    pub fn cut_with(&self, at: Point, hook: impl FnOnce() + Send + 'static) {
        locked(&self.shared.log).traps.push((at, Trap::Cut(Box::new(hook))));
    }

    /// Stops the traffic of this direction and connection at this point, once, until the caller releases it.
    pub fn hold(&self, at: Point) -> Held {
        let (reach, reached) = oneshot::channel();
        let (let_go, release) = oneshot::channel();
        locked(&self.shared.log).traps.push((at, Trap::Hold { reached: reach, release }));
        Held { reached, let_go }
    }

    /// Whether a cut or a hold has not been reached yet. If a cut after the last message is still under way, this waits for it.
    pub async fn is_armed(&self) -> bool {
        let _nothing_under_way = self.shared.under_way.write().await;
        !locked(&self.shared.log).traps.is_empty()
    }

    /// Cuts all connections, and returns when they are closed.
    pub async fn cut_all(&self) {
        let mut connections = std::mem::take(&mut *locked(&self.shared.connections));
        connections.shutdown().await;
    }

    /// Delays every message by this time.
    pub fn delay(&self, delay: Duration) {
        let micros = delay.as_micros().try_into().expect("a delay is shorter than 500,000 years");
        self.shared.delay_micros.store(micros, Ordering::SeqCst);
    }

    /// The number of connections that were passed on.
    pub fn connections(&self) -> usize {
        locked(&self.shared.log).connections
    }

    /// All messages so far, in their order.
    pub fn messages(&self) -> Vec<Message> {
        locked(&self.shared.log).messages.clone()
    }

    /// The number of connections on which the client has sent a login.
    pub fn logins_sent(&self) -> usize {
        logins::sent(self.shared.protocol, &self.messages())
    }

    /// The number of connections on which the client sent its login unencrypted. Only a proxy that opens TLS can tell.
    pub fn logins_in_clear_text(&self) -> usize {
        let mut messages = self.messages();
        let encrypted = locked(&self.shared.log).encrypted.clone();
        messages.retain(|message| !encrypted.contains(&message.connection));
        logins::sent(self.shared.protocol, &messages)
    }

    /// The number of connections on which the server has refused the login.
    pub fn logins_refused(&self) -> usize {
        logins::refused(self.shared.protocol, &self.messages())
    }

    /// Forgets messages, cuts and holds. Conversations and messages are numbered from 1 again.
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

/// A point at which traffic stops. Dropping this value lets the traffic continue.
pub struct Held {
    reached: oneshot::Receiver<()>,
    let_go: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the traffic has stopped at the point.
    pub async fn reached(&mut self) {
        // An error means that the proxy has closed or the hold was cleared. Then no traffic will ever stop here.
        if (&mut self.reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Lets the traffic continue.
    pub fn release(self) {
        // An error means that the connection has ended.
        let _ = self.let_go.send(());
    }
}

async fn pass(listener: Door, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.0.accept().await {
        let mut connections = locked(&shared.connections);
        while connections.try_join_next().is_some() {} // removes connections that have ended
        connections.spawn(pump::connection(client, Arc::clone(&shared)));
    }
}

/// The kernel accepts connections meanwhile.
async fn wake(time: Duration, listener: Door, shared: Arc<Shared>) {
    tokio::time::sleep(time).await;
    pass(listener, shared).await;
}

async fn close(listener: Door) {
    while let Ok((client, _)) = listener.0.accept().await {
        drop(client);
    }
}

async fn keep<T>(_kept: T) {
    std::future::pending().await
}
