//! Messages and their names.

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// The name of a message. It is the same in a second run of the same work, in whatever order connections open, idle and close: a
/// connection counts from its first message on, and the goodbye of an older connection does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The connection, numbered from 1 in the order of first messages since [`Proxy::clear`](super::Proxy::clear). 0 stands for a
    /// goodbye that is the only message of its connection since then.
    pub conversation: usize,
    /// The direction.
    pub direction: Direction,
    /// Its number among the messages of this conversation and direction, from 1.
    pub number: usize,
}

/// A message that came to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub place: Place,
    /// The connection that carried it, counted from 1 over the proxy's whole life.
    pub connection: usize,
    /// The protocol's type of the message: PostgreSQL's type byte (0 if there is none), the first byte of MySQL's payload, the
    /// first byte of any other message.
    pub kind: u8,
    /// Its length on the wire in bytes.
    pub length: usize,
}

/// The moment just before or just after a message is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    place: Place,
    is_after: bool,
}

impl Point {
    /// The moment at which the proxy has received this message and has not passed it on.
    pub fn before(place: Place) -> Point {
        Point { place, is_after: false }
    }

    /// The moment at which the proxy has passed on this message and nothing after it.
    pub fn after(place: Place) -> Point {
        Point { place, is_after: true }
    }
}
