//! A strategy with its protections: which versions log in, and which states are forbidden.

use std::fmt;

use super::state::{State, VERSIONS, Value, Version};

/// How the server changes passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// One user with one password, which it changes itself.
    SingleUser,
    /// Two users with one password each. A rotation changes the user that is not current.
    AlternatingUsers,
    /// One user with two passwords. A change moves the first to the second place.
    DualPassword,
}

/// A protection that keeps the promises. Without it, some promise breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// setSecret and finishSecret run one at a time.
    Lock,
    /// A step reads the labels again under the lock.
    SecondLook,
    /// finishSecret logs in as pending.
    FinishLogin,
    /// That login is made under the lock.
    LoginUnderLock,
    /// With two passwords, AWSCURRENT's is made the first before it is kept as the second.
    PrimaryFirst,
    /// The ladder ends with versions that have no label.
    Unlabelled,
    /// With two users, setSecret refuses a pending for the user that AWSCURRENT names.
    UserCheck,
    /// A pending made from another value than AWSCURRENT's is refused, and the label is moved away from the version compared.
    Provenance,
    /// setSecret logs in as pending before it is done, and else sets the password back.
    Verify,
    /// A change is on disk before it is acknowledged.
    Durable,
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// No stored version logs in.
    LockedOut,
    /// With an overlap strategy, AWSCURRENT does not log in.
    CurrentRefused,
    /// A person's edit of AWSCURRENT is replaced by a value that was made from the older one.
    EditLost,
    /// The server has forgotten the password of AWSCURRENT.
    Forgotten,
    /// Running the steps again, or dropping AWSPENDING and starting a new rotation, does not succeed.
    NoConvergence,
}

/// What happens beyond crashes of the function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// A person stores a new AWSCURRENT, once, with the same account and another field.
    pub edits: bool,
    /// The server may store a password and then refuse it.
    pub refuses: bool,
    /// The server loses in a crash what is not on its disk.
    pub forgets: bool,
}

/// A strategy, with or without one of its protections.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The strategy.
    pub strategy: Strategy,
    /// The world around it.
    pub world: World,
    /// The protection that is taken away.
    pub without: Option<Protection>,
}

impl Protocol {
    pub(super) fn has(&self, protection: Protection) -> bool {
        self.without != Some(protection)
    }

    pub(super) fn logs_in(&self, state: &State, version: Version) -> bool {
        let value = state.value(version);
        if matches!(value, Value::Absent | Value::Empty) {
            return false;
        }
        let ([first, second], password) = (state.passwords, Some(state.password(version)));
        match (self.strategy, value) {
            (Strategy::SingleUser, _) => password == first,
            (Strategy::DualPassword, _) => password == first || password == second,
            (Strategy::AlternatingUsers, Value::Original) => password == first,
            (Strategy::AlternatingUsers, _) => password == second,
        }
    }

    pub(super) fn some_version_logs_in(&self, state: &State) -> bool {
        VERSIONS.iter().any(|version| self.logs_in(state, *version))
    }

    /// The promise that must hold at every moment and is broken in this state.
    pub(super) fn broken_now(&self, state: &State) -> Option<Broken> {
        if state.is_forgotten {
            return Some(Broken::Forgotten);
        }
        if state.is_edit_lost {
            return Some(Broken::EditLost);
        }
        if state.is_being_put_back() {
            return None;
        }
        if !self.some_version_logs_in(state) {
            return Some(Broken::LockedOut);
        }
        let overlaps = self.strategy != Strategy::SingleUser;
        (overlaps && !self.logs_in(state, state.current)).then_some(Broken::CurrentRefused)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { strategy, world, without } = self;
        match without {
            None => write!(f, "{strategy:?} in {world:?}"),
            Some(protection) => write!(f, "{strategy:?} in {world:?} without {protection:?}"),
        }
    }
}
