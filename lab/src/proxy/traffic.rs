//! The state that all connections through a proxy share: the log of their messages, and the traps.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use tokio::sync::{RwLock, oneshot};
use tokio::task::JoinSet;

use super::framing::Protocol;
use super::message::{Direction, Message, Place, Point};
use super::tls::BothSides;

pub(super) struct Shared {
    pub(super) protocol: Protocol,
    pub(super) server: (String, u16),
    /// `None` if TLS passes through.
    pub(super) tls: Option<BothSides>,
    pub(super) log: Mutex<Log>,
    pub(super) delay_micros: AtomicU64,
    /// Locked for reading while a message is passed on, until the trap after it has sprung.
    pub(super) under_way: RwLock<()>,
    pub(super) connections: Mutex<JoinSet<()>>,
}

#[derive(Default)]
pub(super) struct Log {
    pub(super) connections: usize,
    /// Those on which TLS ended at the proxy.
    pub(super) encrypted: BTreeSet<usize>,
    conversations: Vec<Conversation>,
    pub(super) messages: Vec<Message>,
    pub(super) traps: Vec<(Point, Trap)>,
}

/// A connection with messages since the log was cleared.
struct Conversation {
    connection: usize,
    to_server: usize,
    to_client: usize,
}

impl Log {
    /// Forgets everything but the number of connections and which of them were encrypted.
    pub(super) fn clear(&mut self) {
        let encrypted = std::mem::take(&mut self.encrypted);
        *self = Log { connections: self.connections, encrypted, ..Log::default() };
    }

    /// Names the next message of a connection. A goodbye opens no conversation.
    pub(super) fn place(&mut self, connection: usize, direction: Direction, is_goodbye: bool) -> Place {
        let known = self.conversations.iter().position(|it| it.connection == connection);
        let index = match known {
            Some(index) => index,
            None if is_goodbye => return Place { conversation: 0, direction, number: 0 },
            None => {
                self.conversations.push(Conversation { connection, to_server: 0, to_client: 0 });
                self.conversations.len() - 1
            }
        };
        let count = match direction {
            Direction::ToServer => &mut self.conversations[index].to_server,
            Direction::ToClient => &mut self.conversations[index].to_client,
        };
        *count += 1;
        Place { conversation: index + 1, direction, number: *count }
    }
}

/// The action at a point. Each happens once.
pub(super) enum Trap {
    Cut(Box<dyn FnOnce() + Send>),
    Hold { reached: oneshot::Sender<()>, release: oneshot::Receiver<()> },
}
