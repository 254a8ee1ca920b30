//! The rotation protocol as a model: versions and labels in Secrets Manager, passwords in the server, the lock, and up to two
//! steps that run at once. Each move is one external effect, and any protection can be taken away to see what it is for.
//!
//! Not modelled, as the promises except them: a lock session that is lost while the label moves, targets without locks,
//! passwords that the server's policy refuses.

mod search;
mod step;

use std::fmt;

pub use search::{Broken, Outcome, explore};
use step::Running;

/// How the server changes passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// One user with one password, which it changes itself.
    SingleUser,
    /// Two users with one password each; the one that is not current is changed.
    AlternatingUsers,
    /// One user with two passwords; a change moves the first to the second place.
    DualPassword,
}

/// What keeps the promises; each is there because something breaks without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// setSecret and finishSecret run one at a time.
    Lock,
    /// Under the lock the labels are looked at again.
    SecondLook,
    /// finishSecret logs in as pending.
    FinishLogin,
    /// And does so under the lock.
    LoginUnderLock,
    /// With two passwords, AWSCURRENT is made the first before it is retained.
    PrimaryFirst,
    /// The ladder ends with versions that have no label.
    Unlabelled,
    /// With two users, setSecret refuses a pending for the user that AWSCURRENT names.
    UserCheck,
}

/// A version of the secret. Its password is itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    /// The one before the first rotation.
    Older,
    /// The current one before the first rotation.
    Old,
    /// Made by the first rotation.
    First,
    /// Made by the second.
    Second,
    /// Made by a rotation after everything, to see that it goes through.
    Fresh,
}

use Version::{First, Fresh, Old, Older, Second};

const VERSIONS: [Version; 5] = [Older, Old, First, Second, Fresh];

/// What a version holds; the user counts only where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Value {
    Absent,
    Empty,
    Original,
    Alternate,
}

/// Everything at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    values: [Value; 5],
    current: Version,
    previous: Version,
    pending: Option<Version>,
    /// The passwords of the original and the alternate, or the first and second of one user, or one that never changes.
    passwords: [Version; 2],
    /// Which of the running steps holds the lock.
    lock: Option<usize>,
    running: [Option<Running>; 2],
}

impl State {
    fn initial() -> State {
        use Value::{Absent, Alternate, Original};
        State {
            values: [Alternate, Original, Absent, Absent, Absent],
            current: Old,
            previous: Older,
            pending: None,
            passwords: [Old, Older],
            lock: None,
            running: [None, None],
        }
    }

    fn value(&self, version: Version) -> Value {
        self.values[version as usize]
    }

    fn put(&mut self, version: Version, value: Value) {
        self.values[version as usize] = value;
    }

    fn is_idle(&self) -> bool {
        self.running == [None, None]
    }

    /// Whether a rotation may begin: AWSPENDING is nowhere, or on the current version.
    fn may_rotate(&self) -> bool {
        self.pending.is_none_or(|pending| pending == self.current)
    }

    fn is_unlabelled(&self, version: Version) -> bool {
        version != self.current && version != self.previous && Some(version) != self.pending
    }

    /// A step ends, well or not; its lock goes.
    fn end(&mut self, process: usize) {
        self.running[process] = None;
        if self.lock == Some(process) {
            self.lock = None;
        }
    }
}

/// A strategy, with or without one of its protections.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The strategy.
    pub strategy: Strategy,
    /// What is taken away.
    pub without: Option<Protection>,
}

impl Protocol {
    fn has(&self, protection: Protection) -> bool {
        self.without != Some(protection)
    }

    fn logs_in(&self, state: &State, version: Version) -> bool {
        let value = state.value(version);
        if matches!(value, Value::Absent | Value::Empty) {
            return false;
        }
        let [first, second] = state.passwords;
        match (self.strategy, value) {
            (Strategy::SingleUser, _) => version == first,
            (Strategy::DualPassword, _) => version == first || version == second,
            (Strategy::AlternatingUsers, Value::Original) => version == first,
            (Strategy::AlternatingUsers, _) => version == second,
        }
    }

    fn some_version_logs_in(&self, state: &State) -> bool {
        VERSIONS.iter().any(|version| self.logs_in(state, *version))
    }

    /// What must hold at every instant and does not.
    fn broken_now(&self, state: &State) -> Option<Broken> {
        if !self.some_version_logs_in(state) {
            return Some(Broken::LockedOut);
        }
        let overlaps = self.strategy != Strategy::SingleUser;
        (overlaps && !self.logs_in(state, state.current)).then_some(Broken::CurrentRefused)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.without {
            None => write!(f, "{:?}", self.strategy),
            Some(protection) => write!(f, "{:?} without {protection:?}", self.strategy),
        }
    }
}
