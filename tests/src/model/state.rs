//! Everything at one moment: versions, labels, passwords, the lock, and the steps that run.

/// A version of the secret. Its password is itself, but for the edited one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Version {
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
    /// Stored as current by a person, who has changed a field that is not the password.
    Edited,
}

pub(super) use Version::{Edited, First, Fresh, Old, Older, Second};

/// Newest first, as the ladder tries them.
pub(super) const VERSIONS: [Version; 6] = [Edited, Fresh, Second, First, Old, Older];

/// What a version holds; the user counts only where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Absent,
    Empty,
    Original,
    Alternate,
}

/// What the server stores.
pub(super) type Passwords = [Option<Version>; 2];

/// Everything at one moment.
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
    /// Which of the running steps holds the lock.
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

    /// Whether a rotation may begin: AWSPENDING is nowhere, or on the current version.
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

    /// A step ends, well or not; its lock goes.
    pub(super) fn end(&mut self, process: usize) {
        self.running[process] = None;
        if self.lock == Some(process) {
            self.lock = None;
        }
    }
}

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Create,
    Set,
    Test,
    Finish,
}

pub(super) const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

/// A step that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Running {
    pub(super) token: Version,
    pub(super) step: Step,
    pub(super) next: Next,
    /// What it saw under AWSCURRENT.
    pub(super) seen: Option<Version>,
    /// The version that opened its session, where the server may refuse what it stores.
    pub(super) opened: Option<Version>,
}

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    /// Reads the labels, and whatever is read beside them.
    Gate,
    /// Puts the value, or looks for what logs in.
    Work,
    /// Waits for the lock.
    Lock,
    /// Looks at the labels again.
    Look,
    /// Changes the password, or logs in a last time.
    Act,
    /// Changes it, keeping the one before.
    Retain,
    /// Logs in as pending, which the server may refuse.
    Verify,
    /// Sets the password back that opened its session.
    Undo,
    /// Moves AWSCURRENT, if it is where it was seen.
    Move,
}

impl Running {
    pub(super) fn new(token: Version, step: Step) -> Running {
        Running { token, step, next: Next::Gate, seen: None, opened: None }
    }
}
