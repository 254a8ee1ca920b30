//! What earlier logins of this process have shown of servers, so that the next one declares what its server takes.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rotation::database::account::Server;

/// The servers that this process has logged in to: a field of the target, so that it lives as long as the process.
#[derive(Default)]
pub struct Known(RefCell<BTreeMap<(String, u16), Seen>>);

/// What a login has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The server's major version; 0 if nothing has told.
    pub(crate) version: u32,
    /// Whether the login's declaration was not taken.
    pub(crate) is_pooled: bool,
}

impl Known {
    pub(crate) fn of(&self, server: &Server) -> Seen {
        let seen = self.0.borrow().get(&key(server)).copied();
        seen.unwrap_or(Seen { version: 0, is_pooled: false })
    }

    pub(crate) fn note(&self, server: &Server, seen: Seen) {
        self.0.borrow_mut().insert(key(server), seen);
    }
}

fn key(server: &Server) -> (String, u16) {
    (server.host.clone(), server.port)
}
