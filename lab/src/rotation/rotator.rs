//! The attached functions, the running rotations, and the record of ended ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::{Event, EventKind, Invoke, Retries, Rotation};
use crate::secrets::Moment;

/// The attached functions, and the record of rotations.
pub(crate) struct Rotator {
    /// By name.
    functions: Mutex<BTreeMap<String, Arc<dyn Invoke>>>,
    events: Mutex<Vec<Event>>,
    published: broadcast::Sender<Event>,
    ended: watch::Sender<Vec<Rotation>>,
    /// Running rotations. They end with the lab.
    tasks: Mutex<JoinSet<()>>,
    runtime: Handle,
    pub(super) retries: Retries,
}

impl Rotator {
    pub(crate) fn new(retries: Retries) -> Self {
        Self {
            functions: Mutex::default(),
            events: Mutex::default(),
            published: broadcast::Sender::new(KEPT),
            ended: watch::Sender::new(Vec::new()),
            tasks: Mutex::default(),
            runtime: Handle::current(),
            retries,
        }
    }

    pub(crate) fn attach(&self, name: &str, function: Arc<dyn Invoke>) {
        self.functions().insert(name.into(), function);
    }

    /// The function that an ARN names. Account, Region and qualifier do not matter.
    pub(crate) fn function(&self, arn: &str) -> Option<Arc<dyn Invoke>> {
        let (_, resource) = arn.split_once(":function:")?;
        let name = resource.split(':').next()?;
        self.functions().get(name).cloned()
    }

    pub(crate) fn functions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn Invoke>>> {
        self.functions.lock().expect("nothing panics while it holds the functions")
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().expect("nothing panics while it holds the events")
    }

    pub(crate) fn follow(&self) -> broadcast::Receiver<Event> {
        self.published.subscribe()
    }

    pub(crate) fn ended(&self) -> watch::Receiver<Vec<Rotation>> {
        self.ended.subscribe()
    }

    /// Runs a rotation in the background.
    pub(super) fn spawn(&self, rotation: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        // Removes tasks that have ended.
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(rotation, &self.runtime);
    }

    pub(crate) fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().expect("nothing panics while it holds the tasks")
    }

    pub(super) fn tell(&self, at: Moment, kind: EventKind, rotation: &Rotation) {
        let (secret, token) = (rotation.secret.clone(), rotation.token.clone());
        let event = Event { at, kind, secret, token };
        let mut events = self.events(); // locked, so that followers get events in the record's order
        keep(&mut events, event.clone());
        // An error means that nobody follows.
        let _ = self.published.send(event);
    }

    /// Keeps a rotation that has ended, for callers that wait for it.
    pub(super) fn note_end(&self, rotation: Rotation) {
        self.ended.send_modify(|ended| keep(ended, rotation));
    }
}

/// The limit of each record, for a lab that runs for days.
const KEPT: usize = 1_000;

/// Adds to a record that must not grow for ever.
fn keep<T>(record: &mut Vec<T>, new: T) {
    if record.len() == KEPT {
        record.remove(0);
    }
    record.push(new);
}
