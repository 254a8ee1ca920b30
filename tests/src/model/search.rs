//! Explores every history, breadth first, so that each failure is found with its shortest history.

use std::collections::HashSet;
use std::fmt;

use super::protocol::{Broken, Protocol};
use super::state::{Edited, First, Fresh, Next, Running, STEPS, Second, State, Step, Value, Version};

/// The result of a search.
#[derive(Debug)]
pub struct Outcome {
    /// The number of states.
    pub states: usize,
    /// In how many states pending was made for another current version, so that only an operator helps, by dropping it.
    pub stale: usize,
    /// The broken promises: each with the number of states, and its shortest history.
    pub broken: Vec<(Broken, usize, String)>,
}

#[derive(Clone, Copy)]
enum Move {
    Advance(usize, Running),
    Crash(usize, Running),
    Rotate(Version),
    Start(usize, Version, Step),
    DropLabel,
    Edit,
    Flush,
    CrashServer,
}

/// Follows every history to its end.
pub fn explore(protocol: Protocol) -> Outcome {
    let mut outcome = Outcome { states: 0, stale: 0, broken: Vec::new() };
    let mut reached = vec![(State::initial(), None)];
    let mut known = HashSet::from([State::initial()]);
    // New states are appended, so that the list is a queue and a family tree at once.
    let mut at = 0;
    while at < reached.len() {
        let state = reached[at].0;
        match protocol.verdict(&state) {
            Verdict::Holds { stale } => {
                outcome.stale += usize::from(stale);
                for (step, next) in protocol.moves(&state) {
                    if known.insert(next) {
                        reached.push((next, Some((at, step))));
                    }
                }
            }
            Verdict::Breaks(broken) => match outcome.broken.iter_mut().find(|(kind, ..)| *kind == broken) {
                Some((_, count, _)) => *count += 1,
                None => outcome.broken.push((broken, 1, history(&reached, at))),
            },
        }
        at += 1;
    }
    outcome.states = reached.len();
    outcome
}

fn history(reached: &[(State, Option<(usize, Move)>)], mut at: usize) -> String {
    let mut moves = Vec::new();
    while let Some((before, step)) = reached[at].1 {
        moves.push(step.to_string());
        at = before;
    }
    moves.reverse();
    moves.join("\n  ")
}

enum Verdict {
    Holds { stale: bool },
    Breaks(Broken),
}

impl Protocol {
    fn moves(&self, state: &State) -> Vec<(Move, State)> {
        let mut moves = Vec::new();
        for (process, running) in state.running.iter().enumerate() {
            let Some(running) = *running else { continue };
            let advanced = self.advance(state, process).into_iter();
            moves.extend(advanced.map(|next| (Move::Advance(process, running), next)));
            if state.is_being_put_back() && matches!(running.next, Next::Verify | Next::Undo) {
                continue; // the double fault that the promise excepts
            }
            let mut crashed = *state;
            crashed.end(process);
            moves.push((Move::Crash(process, running), crashed));
        }
        for token in [First, Second] {
            if state.value(token) == Value::Absent {
                if state.may_rotate() {
                    moves.push((Move::Rotate(token), state.begun(token)));
                }
                continue;
            }
            let Some(free) = state.running.iter().position(Option::is_none) else { continue };
            for step in STEPS {
                let mut next = *state;
                next.running[free] = Some(Running::new(token, step));
                moves.push((Move::Start(free, token, step), next));
            }
        }
        if state.pending.is_some() {
            moves.push((Move::DropLabel, State { pending: None, ..*state }));
        }
        if self.world.edits && state.value(Edited) == Value::Absent {
            moves.push((Move::Edit, state.edited()));
        }
        if self.world.forgets && state.disk != state.passwords {
            moves.push((Move::Flush, State { disk: state.passwords, ..*state }));
            moves.push((Move::CrashServer, self.crashed(state)));
        }
        moves
    }

    /// The server is back with what was on its disk; every session and lock is gone.
    fn crashed(&self, state: &State) -> State {
        let mut crashed = State { passwords: state.disk, lock: None, running: [None, None], ..*state };
        crashed.is_forgotten = self.logs_in(state, state.current) && !self.logs_in(&crashed, state.current);
        crashed
    }

    /// Whether the promises hold in this state, and, if no step is running, whether the next rotation succeeds.
    fn verdict(&self, state: &State) -> Verdict {
        if let Some(broken) = self.broken_now(state) {
            return Verdict::Breaks(broken);
        }
        if !state.is_idle() {
            return Verdict::Holds { stale: false };
        }
        let (mut end, mut token) = self.settle(*state);
        let stale = end.current != token;
        if stale {
            (end, token) = self.settle(State { pending: None, ..*state });
        }
        let converges = end.current == token && self.logs_in(&end, token) && self.broken_now(&end).is_none();
        if converges { Verdict::Holds { stale } } else { Verdict::Breaks(Broken::NoConvergence) }
    }

    /// Runs what the service would run next, to the end: the four steps for the pending token, or for a new one.
    fn settle(&self, mut state: State) -> (State, Version) {
        state.lock = None;
        if state.may_rotate() {
            state = state.begun(Fresh);
        }
        let token = state.pending.expect("a rotation has begun");
        for step in STEPS {
            state.running[0] = Some(Running::new(token, step));
            while state.running[0].is_some() {
                state = self.advance(&state, 0).into_iter().next().expect("nobody else holds the lock");
            }
        }
        (state, token)
    }
}

impl State {
    /// RotateSecret's effect: an empty version, labelled AWSPENDING.
    fn begun(mut self, token: Version) -> State {
        self.put(token, Value::Empty);
        self.pending = Some(token);
        self
    }

    /// A person stores AWSCURRENT's account with another field.
    fn edited(mut self) -> State {
        let before = self.current;
        self.edited = self.password(before);
        self.put(Edited, self.value(before));
        self.origins[Edited as usize] = Some(before);
        (self.current, self.previous) = (Edited, before);
        self
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = |next| match next {
            Next::Gate => "reads the labels",
            Next::Work => "puts its value, or logs in",
            Next::Lock => "takes the lock",
            Next::Look => "looks at the labels again",
            Next::Act => "changes the password, or logs in under the lock",
            Next::Retain => "changes the password and keeps the one before",
            Next::Verify => "logs in as pending",
            Next::Undo => "sets the password back",
            Next::Move => "moves AWSCURRENT",
        };
        match self {
            Move::Advance(process, Running { token, step, next, .. }) => {
                write!(f, "process {process}, {token:?} {step:?}: {}", what(*next))
            }
            Move::Crash(process, Running { token, step, next, .. }) => {
                write!(f, "process {process}, {token:?} {step:?}: crashes before it {}", what(*next))
            }
            Move::Rotate(token) => write!(f, "the service begins rotation {token:?}"),
            Move::Start(process, token, step) => {
                write!(f, "process {process}, {token:?} {step:?}: is started")
            }
            Move::DropLabel => f.write_str("an operator takes AWSPENDING away"),
            Move::Edit => f.write_str("a person edits AWSCURRENT"),
            Move::Flush => f.write_str("the server writes to disk"),
            Move::CrashServer => f.write_str("the server crashes"),
        }
    }
}
