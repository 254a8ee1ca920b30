//! Rotations that are cut: at calls to Secrets Manager and at messages with the database, before and after their effect.

use std::sync::Arc;

use lab::sweep::{self, Aftermath, Case, Recording};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::asked::Shared;
use super::bench::Bench;
use super::card::Card;
use super::flaw::{Flaw, Judged};

/// Of each kind, so many cuts are tried unless all are.
const SAMPLE: usize = 8;
/// And so many pairs of cuts, of which there are too many for all.
const PAIRS: usize = 60;
/// So many at a time.
const AT_ONCE: usize = 2;

/// What happens after the cut, and what a failure would mean.
const KINDS: [(Aftermath, &str, &str); 5] = [
    (
        Aftermath::Killed,
        "killed anywhere, the same rotation goes on",
        "a function that dies (memory, time, a deployment) locks clients out, or never ends its rotation",
    ),
    (
        Aftermath::Disconnected,
        "an answer lost anywhere, the same rotation goes on",
        "a dropped connection locks clients out, or never ends its rotation",
    ),
    (
        Aftermath::Abandoned,
        "killed anywhere, a new rotation is begun",
        "after an operator drops AWSPENDING, as AWS's manual says, nothing the function tries logs in any more",
    ),
    (
        Aftermath::Doubled,
        "one step in two processes at once",
        "a retry that overtakes a slow invocation locks clients out",
    ),
    (
        Aftermath::Overtaken,
        "a newer rotation overtakes a slow one",
        "of two rotations at once one promotes what the other has made invalid",
    ),
];

const TWICE: &str = "killed, and killed again";

pub(super) async fn judge(bench: &Shared<Bench>, card: &mut Card<'_>) {
    card.part("cut anywhere");
    if ![TWICE].into_iter().chain(KINDS.map(|(_, check, _)| check)).any(|check| card.wants(check)) {
        return;
    }
    let stages = Arc::clone(bench);
    let make = move || {
        let bench = Arc::clone(&stages);
        async move { bench.stage().await }
    };
    let recording = match sweep::record(&make).await {
        Ok(all) if all.all().is_empty() => Err("a rotation calls nothing that could be cut".to_owned()),
        Ok(all) => Ok(all),
        Err(why) => Err(format!("a rotation without any cut fails: {why}")),
    };
    for (aftermath, check, means) in KINDS {
        let cases = recording.as_ref().map(|all| of_kind(bench, all, aftermath));
        card.check(check, means, swept(&make, cases)).await;
    }
    let count = if bench.all { PAIRS } else { SAMPLE };
    let pairs = recording.as_ref().map(|all| all.pairs(count, bench.seed));
    card.check(TWICE, KINDS[0].2, swept(&make, pairs)).await;
}

fn of_kind(bench: &Bench, recording: &Recording, aftermath: Aftermath) -> Vec<Case> {
    let all: Vec<Case> = recording.all().into_iter().filter(|case| case.aftermath == aftermath).collect();
    if bench.all {
        return all;
    }
    all.sample(&mut StdRng::seed_from_u64(bench.seed), SAMPLE).copied().collect()
}

async fn swept<F, S>(make: &F, cases: Result<Vec<Case>, &String>) -> Judged
where
    F: Fn() -> S + Clone + Send + Sync + 'static,
    S: Future<Output = std::io::Result<sweep::Stage>> + Send + 'static,
{
    let cases = cases.map_err(|why| Flaw::Unclear(why.clone()))?;
    let report = sweep::run(make.clone(), cases, AT_ONCE, None).await;
    let (missed, failures): (Vec<_>, Vec<_>) =
        report.failures.iter().partition(|failure| failure.ends_with(sweep::NEVER_REACHED));
    match failures.first() {
        None => match missed.first() {
            None => Ok(format!("{} cuts", report.cases)),
            Some(first) => Err(Flaw::Unclear(format!(
                "{} of {} cuts were not reached, such as {first}: it does not do the same twice",
                missed.len(),
                report.cases
            ))),
        },
        Some(first) => Err(format!("{} of {} cuts, such as {first}", failures.len(), report.cases).into()),
    }
}
