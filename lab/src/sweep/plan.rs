//! Where a rotation can be cut, and what may happen afterwards.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::proxy::{Direction, Message, Place};
use crate::rotation::Step;

/// One place in a rotation, named by what is cut: the step, and the call or message within the step. So a second run has the
/// same places, whatever overlapped in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A call to Secrets Manager.
    Call {
        /// In which step.
        step: Step,
        /// Which call of the step, from 1.
        number: u64,
        /// After its effect, or before.
        after: bool,
    },
    /// A message between function and target.
    Message {
        /// In which step.
        step: Step,
        /// Which message of the step.
        place: Place,
        /// After it was passed on, or before.
        after: bool,
    },
}

impl Cut {
    /// The step that is cut.
    pub fn step(self) -> Step {
        match self {
            Cut::Call { step, .. } | Cut::Message { step, .. } => step,
        }
    }
}

/// What happens at the cut, and who goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// The process is killed; the service tries again with the same token.
    Killed,
    /// The process is killed; an operator takes AWSPENDING away and rotates anew.
    Abandoned,
    /// Only the connection is lost; the service tries again with the same token.
    Disconnected,
    /// The process is killed, and when the service tries again with the same token, killed a second time here.
    KilledAgain(Cut),
    /// The process stands still; a second one does all steps with the same token; then the first goes on.
    Doubled,
    /// The process stands still; an operator takes AWSPENDING away and a second process rotates anew; then the first goes on.
    Overtaken,
}

/// One case of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Where.
    pub cut: Cut,
    /// And then.
    pub aftermath: Aftermath,
}

/// Where a rotation can be cut.
///
/// Of the messages only those count after which the other side has its turn: one side's messages in a row, such as the rows of
/// an answer, take effect together, and a cut in the middle of them is a cut before the last. The last message to the target on a
/// connection is its goodbye, after which nothing happens there any more; it does not count either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Calls to Secrets Manager, step by step.
    pub calls: Vec<(Step, u64)>,
    /// Messages in either direction, each with its step.
    pub messages: Vec<(Step, Place)>,
}

impl Recording {
    /// Adds what one step did.
    pub(super) fn add(&mut self, step: Step, calls: u64, messages: &[Message]) {
        let ends_turn = |(at, message): (usize, &Message)| {
            let next = messages[at + 1..].iter().find(|next| next.connection == message.connection);
            let direction = message.place.direction;
            next.map_or(direction == Direction::ToClient, |next| next.place.direction != direction)
        };
        self.calls.push((step, calls));
        let turns = messages.iter().enumerate().filter(|found| ends_turn(*found));
        self.messages.extend(turns.map(|(_, message)| (step, message.place)));
    }

    /// Every place, before and after.
    fn cuts(&self) -> impl Iterator<Item = Cut> {
        let both = [false, true];
        let calls =
            self.calls.iter().flat_map(|(step, count)| (1..=*count).map(move |number| (*step, number)));
        let calls = calls.flat_map(move |(step, number)| both.map(|after| Cut::Call { step, number, after }));
        let messages = self.messages.iter();
        calls.chain(
            messages.flat_map(move |&(step, place)| both.map(|after| Cut::Message { step, place, after })),
        )
    }

    /// Every cut with every aftermath.
    pub fn all(&self) -> Vec<Case> {
        use Aftermath::{Abandoned, Disconnected, Doubled, Killed, Overtaken};
        let aftermaths = |cut: Cut| match cut {
            Cut::Call { .. } => &[Killed, Abandoned, Disconnected, Doubled, Overtaken][..],
            Cut::Message { .. } => &[Killed, Abandoned, Disconnected],
        };
        let cases = |cut| aftermaths(cut).iter().map(move |aftermath| Case { cut, aftermath: *aftermath });
        self.cuts().flat_map(cases).collect()
    }

    /// Some pairs of cuts, the same for the same seed.
    pub fn pairs(&self, count: usize, seed: u64) -> Vec<Case> {
        let (cuts, mut random) = (self.cuts().collect::<Vec<_>>(), StdRng::seed_from_u64(seed));
        let mut any = || *cuts.choose(&mut random).expect("a rotation calls Secrets Manager");
        (0..count).map(|_| Case { cut: any(), aftermath: Aftermath::KilledAgain(any()) }).collect()
    }

    /// Some of them, the same for the same seed.
    pub fn sample(&self, count: usize, seed: u64) -> Vec<Case> {
        let all = self.all();
        all.sample(&mut StdRng::seed_from_u64(seed), count).copied().collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.aftermath {
            Aftermath::KilledAgain(second) => write!(f, "Killed {}, and again {second}", self.cut),
            aftermath => write!(f, "{aftermath:?} {}", self.cut),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = |after| if after { "after" } else { "before" };
        match *self {
            Cut::Call { step, number, after } => {
                write!(f, "{} call {number} of {}", when(after), step.name())
            }
            Cut::Message { step, place: Place { conversation, direction, number }, after } => {
                let (when, step) = (when(after), step.name());
                write!(f, "{when} message {number} {direction:?} on connection {conversation} of {step}")
            }
        }
    }
}
