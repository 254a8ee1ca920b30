//! The whole state at one moment: versions, labels, passwords, the lock, and the running steps.

/// A version of the secret. Each version is its own password, except the edited one.
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
    /// Stored as current by a person, who has changed a field that is not the password.
    Edited,
}

pub(super) use Version::{Edited, First, Fresh, Old, Older, Second};

/// Newest first, as the ladder tries them.
pub(super) const VERSIONS: [Version; 6] = [Edited, Fresh, Second, First, Old, Older];

/// The value of a version. The user matters only for a strategy with two users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Absent,
    Empty,
    Original,
    Alternate,
}

/// What the server stores.
pub(super) type Passwords = [Option<Version>; 2];

/// The whole state at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) values: [Value; 6],
    /// The version that each was made from.
    pub(super) origins: [Option<Version>; 6],
    /// The password of the edited version.
    pub(super) edited: Version,
    pub(super) current: Version,
    pub(super) previous: Version,
    pub(super) pending: Option<Version>,
    /// The passwords of the original and the alternate, or the first and second of one user, or one that never changes; none where the
    /// server refuses what it has stored.
    pub(super) passwords: Passwords,
    /// What would be left of them after a crash of the server.
    pub(super) disk: Passwords,
    /// Whether an edit has been replaced by a version that was made from an older one.
    pub(super) is_edit_lost: bool,
    /// Whether a crash of the server has taken the password of AWSCURRENT.
    pub(super) is_forgotten: bool,
    /// The running step that holds the lock.
    pub(super) lock: Option<usize>,
    pub(super) running: [Option<Running>; 2],
}

impl State {
    pub(super) fn initial() -> State {
        use Value::{Absent, Alternate, Original};
        State {
            values: [Alternate, Original, Absent, Absent, Absent, Absent],
            origins: [None, Some(Older), None, None, None, None],
            edited: Edited,
            current: Old,
            previous: Older,
            pending: None,
            passwords: [Some(Old), Some(Older)],
            disk: [Some(Old), Some(Older)],
            is_edit_lost: false,
            is_forgotten: false,
            lock: None,
            running: [None, None],
        }
    }

    pub(super) fn value(&self, version: Version) -> Value {
        self.values[version as usize]
    }

    pub(super) fn password(&self, version: Version) -> Version {
        if version == Edited { self.edited } else { version }
    }

    pub(super) fn origin(&self, version: Version) -> Option<Version> {
        self.origins[version as usize]
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

    /// Whether the server refuses what it has stored and a step is about to mend that: the one moment that the promise excepts.
    pub(super) fn is_being_put_back(&self) -> bool {
        let mut running = self.running.iter().flatten();
        self.passwords[0].is_none() && running.any(|step| matches!(step.next, Next::Verify | Next::Undo))
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
    /// The version that opened its session, where the server may refuse what it stores.
    pub(super) opened: Option<Version>,
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
    /// Logs in as pending, which the server may refuse.
    Verify,
    /// Sets the password back that opened its session.
    Undo,
    /// Moves AWSCURRENT, if it has not moved since the step saw it.
    Move,
}

impl Running {
    pub(super) fn new(token: Version, step: Step) -> Running {
        Running { token, step, next: Next::Gate, seen: None, opened: None }
    }
}
