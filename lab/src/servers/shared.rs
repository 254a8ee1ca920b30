//! Servers that all tests of one process share, one for each set of options.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::runtime::locked;

/// The shared servers of one kind. Being a static, it is never dropped: the guard of each server sees this process end.
pub(super) struct Shared<O, S> {
    servers: Mutex<Option<HashMap<O, Cell<S>>>>,
}

type Cell<S> = Arc<OnceCell<Arc<S>>>;

impl<O: Eq + Hash + Clone, S> Shared<O, S> {
    pub(super) const fn new() -> Shared<O, S> {
        Shared { servers: Mutex::new(None) }
    }

    /// The server of these options, which the first caller starts while the others wait.
    pub(super) async fn server(
        &self,
        options: &O,
        start: impl AsyncFnOnce() -> io::Result<S>,
    ) -> io::Result<Arc<S>> {
        let cell = locked(&self.servers).get_or_insert_default().entry(options.clone()).or_default().clone();
        cell.get_or_try_init(async || start().await.map(Arc::new)).await.cloned()
    }
}
