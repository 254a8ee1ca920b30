//! One step of a rotation, from one external effect to the next.

use super::protocol::{Protection, Protocol, Strategy};
use super::state::{Edited, Next, Passwords, Running, State, Step, VERSIONS, Value, Version};

/// What follows an effect of a running step.
enum Then {
    Ends,
    Goes(Next),
    Waits,
}

use Then::{Ends, Goes, Waits};

impl Protocol {
    /// The states after a process's next effect: one, or none while it waits for the lock, or a second in which the server refuses
    /// what it has stored.
    pub(super) fn advance(&self, before: &State, process: usize) -> Vec<State> {
        let mut state = *before;
        let mut running = before.running[process].expect("it runs");
        let changes =
            self.strategy == Strategy::SingleUser && (running.step, running.next) == (Step::Set, Next::Act);
        match self.effect(&mut state, process, &mut running) {
            Ends => state.end(process),
            Goes(next) => state.running[process] = Some(Running { next, ..running }),
            Waits => return Vec::new(),
        }
        if !(changes && self.world.refuses) {
            return vec![state];
        }
        let mut refused = state;
        self.store(&mut refused, [None, state.passwords[1]]);
        vec![state, refused]
    }

    /// What a commit changes: memory, and the disk as well unless the commit need not be durable.
    fn store(&self, state: &mut State, passwords: Passwords) {
        state.passwords = passwords;
        if self.has(Protection::Durable) || !self.world.forgets {
            state.disk = passwords;
        }
    }

    fn effect(&self, state: &mut State, process: usize, running: &mut Running) -> Then {
        let token = running.token;
        let is_pending = state.pending == Some(token);
        match (running.step, running.next) {
            (step, Next::Gate) => {
                let is_empty = step != Step::Create && state.value(token) == Value::Empty;
                if state.current == token || !is_pending || is_empty {
                    return Ends;
                }
                running.seen = Some(state.current);
                Goes(Next::Work)
            }
            (Step::Create, _) => {
                if state.value(token) == Value::Empty {
                    let is_alternate = running.seen.map(|seen| state.value(seen)) == Some(Value::Alternate);
                    state.put(token, if is_alternate { Value::Original } else { Value::Alternate });
                    state.origins[token as usize] = running.seen;
                    state.pending = Some(token); // PutSecretValue labels its version
                }
                Ends
            }
            (Step::Test, _) => Ends,
            (_, Next::Lock) if !self.has(Protection::Lock) => Goes(Next::Look),
            (_, Next::Lock) if state.lock.is_some() => Waits,
            (_, Next::Lock) => {
                state.lock = Some(process);
                Goes(Next::Look)
            }
            (_, Next::Look) => {
                let has_moved = !is_pending || Some(state.current) != running.seen;
                let is_stale = self.compares() && state.origin(token) != Some(state.current);
                if self.has(Protection::SecondLook) && has_moved || is_stale { Ends } else { Goes(Next::Act) }
            }
            (Step::Set, _) => self.set_secret(state, running),
            (Step::Finish, _) => self.finish_secret(state, running),
        }
    }

    fn set_secret(&self, state: &mut State, running: &mut Running) -> Then {
        let (token, seen) = (running.token, running.seen.expect("the gate has seen it"));
        match (running.next, self.strategy) {
            (Next::Work, Strategy::AlternatingUsers) => {
                let same_user = state.value(token) == state.value(seen);
                let refused = self.has(Protection::UserCheck) && same_user;
                // The guard: AWSCURRENT must log in before an admin acts for this secret.
                if refused || !self.logs_in(state, seen) { Ends } else { Goes(Next::Lock) }
            }
            (Next::Work, _) => match self.ladder(state, token, seen) {
                None => Ends,
                Some(session) if session == token => Ends,
                Some(session) => {
                    running.opened = Some(session).filter(|_| self.world.refuses);
                    Goes(Next::Lock)
                }
            },
            (Next::Verify, _) => {
                if self.logs_in(state, token) {
                    Ends
                } else {
                    Goes(Next::Undo)
                }
            }
            (Next::Undo, _) => {
                let opened = running.opened.map(|version| state.password(version));
                self.store(state, [opened, state.passwords[1]]);
                Ends
            }
            (Next::Act, Strategy::SingleUser) => {
                self.store(state, [Some(token), state.passwords[1]]);
                if self.world.refuses && self.has(Protection::Verify) { Goes(Next::Verify) } else { Ends }
            }
            (Next::Act, Strategy::AlternatingUsers) => {
                let mut passwords = state.passwords;
                passwords[usize::from(state.value(token) == Value::Alternate)] = Some(token);
                self.store(state, passwords);
                Ends
            }
            (Next::Act, Strategy::DualPassword) if self.has(Protection::PrimaryFirst) => {
                self.store(state, [Some(state.password(seen)), state.passwords[1]]);
                Goes(Next::Retain)
            }
            _ => {
                self.store(state, [Some(token), state.passwords[0]]);
                Ends
            }
        }
    }

    /// Whether pending is compared with AWSCURRENT; without edits there is nothing to see.
    fn compares(&self) -> bool {
        self.world.edits && self.has(Protection::Provenance)
    }

    /// The version that logs in: current, pending, previous, then those without a label.
    fn ladder(&self, state: &State, token: Version, seen: Version) -> Option<Version> {
        let unlabelled = VERSIONS.into_iter().filter(|version| state.is_unlabelled(*version));
        let unlabelled = unlabelled.filter(|_| self.has(Protection::Unlabelled));
        let mut ladder = [seen, token, state.previous].into_iter().chain(unlabelled);
        ladder.find(|version| self.logs_in(state, *version))
    }

    fn finish_secret(&self, state: &mut State, running: &mut Running) -> Then {
        let token = running.token;
        match running.next {
            // The step needs a session to hold the lock.
            Next::Work if self.has(Protection::FinishLogin) && !self.logs_in(state, token) => Ends,
            Next::Work => Goes(Next::Lock),
            Next::Act => {
                let looks = self.has(Protection::FinishLogin) && self.has(Protection::LoginUnderLock);
                if looks && !self.logs_in(state, token) {
                    return Ends;
                }
                // The swap is on the version that pending was made from, whatever is current by now.
                running.seen = if self.compares() { state.origin(token) } else { Some(state.current) };
                Goes(Next::Move)
            }
            _ => {
                if Some(state.current) == running.seen {
                    state.is_edit_lost = state.current == Edited && state.origin(token) != Some(Edited);
                    (state.previous, state.current) = (state.current, token);
                }
                Ends
            }
        }
    }
}
