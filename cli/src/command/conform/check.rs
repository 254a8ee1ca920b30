//! A check: its name, what a failure would mean, and how it is done.

use lab::sweep::Answer;

use super::asked::{Conform, Shared, Strategy, name};
use super::bench::Bench;
use super::flaw::{Flaw, Judged};
use super::trial::Trial;
use crate::failure::Failure;

/// Does a check, in a world of its own.
type Done = fn(Shared<Trial>) -> Answer<Judged>;

/// A check.
pub(super) struct Check {
    /// What it is a part of.
    pub(super) part: &'static str,
    pub(super) name: &'static str,
    /// What a failure means in production.
    pub(super) means: &'static str,
    /// The only strategy that it is for, if it is not for all.
    strategy: Option<Strategy>,
    done: Done,
}

impl Check {
    pub(super) fn new(part: &'static str, name: &'static str, means: &'static str, done: Done) -> Check {
        Check { part, name, means, strategy: None, done }
    }

    /// Does it, in a world of its own.
    pub(super) async fn judged(&self, bench: &Shared<Bench>, seed: u64) -> Judged {
        let trial = Shared::new(Trial::named(bench, self.name, seed));
        let flaw = match (self.done)(Shared::clone(&trial)).await {
            Ok(figure) => return Ok(figure),
            Err(Flaw::Stuck(why)) => settled(bench, why).await,
            Err(flaw) => flaw,
        };
        Err(match (flaw, trial.unanswered()) {
            (Flaw::Fails(why), Some(error)) => {
                Flaw::Unclear(format!("the server did not answer a login of the test ({error}): {why}"))
            }
            (flaw, _) => flaw,
        })
    }

    /// The same for one strategy alone.
    pub(super) fn only(mut self, strategy: Strategy) -> Check {
        self.strategy = Some(strategy);
        self
    }
}

/// What a rotation that got stuck says of the function: nothing, if the function does not even rotate undisturbed.
async fn settled(bench: &Shared<Bench>, why: String) -> Flaw {
    match bench.stuck.get_or_init(|| async { undisturbed(bench).await.err().map(Flaw::why) }).await {
        None => Flaw::Fails(why),
        Some(_) => Flaw::Unclear(format!("it does not rotate where nothing is done to it either: {why}")),
    }
}

/// One rotation in which nothing happens.
async fn undisturbed(bench: &Shared<Bench>) -> Result<(), Flaw> {
    let scene = Trial::unnamed(bench).scene().await?;
    scene.rotate().await?;
    scene.current_logs_in("afterwards").await
}

/// Of all checks those that were asked for.
pub(super) fn chosen(all: Vec<Check>, asked: &Conform) -> Result<Vec<Check>, Failure> {
    let mut all = all;
    all.retain(|check| check.strategy.is_none_or(|only| only == asked.strategy));
    let unknown = asked.check.iter().find(|wanted| all.iter().all(|check| check.name != **wanted));
    if let Some(unknown) = unknown {
        let strategy = name(asked.strategy);
        return Err(Failure::usage(
            format!("there is no check {unknown:?} for {strategy}"),
            format!("turnlock conform --engine {} --strategy {strategy} --list", name(asked.engine)),
        ));
    }
    let named =
        |check: &Check| asked.check.is_empty() || asked.check.iter().any(|wanted| wanted == check.name);
    all.retain(|check| named(check) && check.name.contains(&asked.only));
    match all.is_empty() {
        true => Err(Failure::usage(
            format!("no check has {:?} in its name", asked.only),
            format!("turnlock conform --engine {} --list", name(asked.engine)),
        )),
        false => Ok(all),
    }
}
