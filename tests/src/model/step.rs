//! One step of a rotation, from one external effect to the next.

use super::protocol::{Protection, Protocol, Strategy};
use super::state::{Next, Running, State, Step, VERSIONS, Value, Version};

/// What follows an effect of a running step.
enum Then {
    Ends,
    Goes(Next),
    Waits,
}

use Then::{Ends, Goes, Waits};

impl Protocol {
    /// The state after a process's next effect; `None` while it waits for the lock.
    pub(super) fn advance(&self, before: &State, process: usize) -> Option<State> {
        let mut state = *before;
        let mut running = before.running[process].expect("it runs");
        match self.effect(&mut state, process, &mut running) {
            Ends => state.end(process),
            Goes(next) => state.running[process] = Some(Running { next, ..running }),
            Waits => return None,
        }
        Some(state)
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
                if self.has(Protection::SecondLook) && has_moved { Ends } else { Goes(Next::Act) }
            }
            (Step::Set, _) => self.set_secret(state, running),
            (Step::Finish, _) => self.finish_secret(state, running),
        }
    }

    fn set_secret(&self, state: &mut State, running: &Running) -> Then {
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
                Some(_) => Goes(Next::Lock),
            },
            (Next::Act, Strategy::SingleUser) => {
                state.passwords[0] = token;
                Ends
            }
            (Next::Act, Strategy::AlternatingUsers) => {
                let user = usize::from(state.value(token) == Value::Alternate);
                state.passwords[user] = token;
                Ends
            }
            (Next::Act, Strategy::DualPassword) if self.has(Protection::PrimaryFirst) => {
                state.passwords[0] = seen;
                Goes(Next::Retain)
            }
            _ => {
                state.passwords = [token, state.passwords[0]];
                Ends
            }
        }
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
                running.seen = Some(state.current);
                Goes(Next::Move)
            }
            _ => {
                if Some(state.current) == running.seen {
                    (state.previous, state.current) = (state.current, token);
                }
                Ends
            }
        }
    }
}
