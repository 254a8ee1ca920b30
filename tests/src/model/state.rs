//! The whole state at one moment: versions, labels, passwords, the lock, and the running steps.

/// A version of the secret. It is its own password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Version {
    /// The previous version before the first rotation.
    Older,
    /// The current version before the first rotation.
    Old,
    /// The version of the first rotation.
    First,
    /// The version of the second rotation.
    Second,
    /// The version of a final rotation, which checks that rotations still succeed.
    Fresh,
}

pub(super) use Version::{First, Fresh, Old, Older, Second};

pub(super) const VERSIONS: [Version; 5] = [Older, Old, First, Second, Fresh];

/// The value of a version. The user matters only for a strategy with two users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Absent,
    Empty,
    Original,
    Alternate,
}

/// The whole state at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) values: [Value; 5],
    pub(super) current: Version,
    pub(super) previous: Version,
    pub(super) pending: Option<Version>,
    /// The passwords of the original and the alternate, or the first and second of one user. A single password uses only the
    /// first place.
    pub(super) passwords: [Version; 2],
    /// The running step that holds the lock.
    pub(super) lock: Option<usize>,
    pub(super) running: [Option<Running>; 2],
}

impl State {
    pub(super) fn initial() -> State {
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

    pub(super) fn value(&self, version: Version) -> Value {
        self.values[version as usize]
    }

    pub(super) fn put(&mut self, version: Version, value: Value) {
        self.values[version as usize] = value;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running == [None, None]
    }

    /// Whether a rotation may begin: no version carries AWSPENDING, or the current one does.
    pub(super) fn may_rotate(&self) -> bool {
        self.pending.is_none_or(|pending| pending == self.current)
    }

    pub(super) fn is_unlabelled(&self, version: Version) -> bool {
        version != self.current && version != self.previous && Some(version) != self.pending
    }

    /// Ends a step, successful or not, and frees its lock.
    pub(super) fn end(&mut self, process: usize) {
        self.running[process] = None;
        if self.lock == Some(process) {
            self.lock = None;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Create,
    Set,
    Test,
    Finish,
}

pub(super) const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Running {
    pub(super) token: Version,
    pub(super) step: Step,
    pub(super) next: Next,
    /// The version that it saw under AWSCURRENT.
    pub(super) seen: Option<Version>,
}

/// A step's next effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    /// Reads the labels and the values.
    Gate,
    /// Puts the value, or looks for a version that logs in.
    Work,
    /// Waits for the lock.
    Lock,
    /// Reads the labels again.
    Look,
    /// Changes the password, or logs in one last time.
    Act,
    /// Sets the new password and keeps the one before.
    Retain,
    /// Moves AWSCURRENT, if it has not moved since the step saw it.
    Move,
}

impl Running {
    pub(super) fn new(token: Version, step: Step) -> Running {
        Running { token, step, next: Next::Gate, seen: None }
    }
}
