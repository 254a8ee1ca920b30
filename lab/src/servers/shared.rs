//! Servers that all tests of one process share, one for each set of options.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex};

use crate::lock::locked;

/// The shared servers of one kind. A static is never dropped, so the guard of each server stops it when this process ends.
pub(super) struct Shared<O, S> {
    servers: Mutex<Option<HashMap<O, Turn<S>>>>,
}

/// The present server, and how often it has been given out.
type Turn<S> = Arc<tokio::sync::Mutex<Option<(Arc<S>, u32)>>>;

impl<O: Eq + Hash + Clone, S> Shared<O, S> {
    pub(super) const fn new() -> Shared<O, S> {
        Shared { servers: Mutex::new(None) }
    }

    /// The server with these options. The first caller starts it while the others wait. After this many uses a new server
    /// replaces it; the old one stops when its last user drops it.
    pub(super) async fn server(
        &self,
        options: &O,
        uses: u32,
        start: impl AsyncFnOnce() -> io::Result<S>,
    ) -> io::Result<Arc<S>> {
        let turn = locked(&self.servers).get_or_insert_default().entry(options.clone()).or_default().clone();
        let mut turn = turn.lock().await;
        match &mut *turn {
            Some((server, used)) if *used < uses => {
                *used += 1;
                Ok(Arc::clone(server))
            }
            _ => {
                let server = Arc::new(start().await?);
                *turn = Some((Arc::clone(&server), 1));
                Ok(server)
            }
        }
    }
}
