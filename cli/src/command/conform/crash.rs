//! Rotations that are cut: at calls to Secrets Manager and at messages with the database, before and after their effect.

use lab::sweep::{self, Aftermath, Case, Recording};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::asked::Shared;
use super::check::Check;
use super::flaw::{Flaw, Judged};
use super::trial::Trial;

/// The name of this part.
const PART: &str = "cut anywhere";

/// So many cuts have to be reached, or all that there are if these are fewer. Unless all are wanted, no more are tried.
const SAMPLE: usize = 8;
/// Of pairs of cuts there are too many to try all.
const PAIRS: usize = 60;
/// So many at a time.
const AT_ONCE: usize = 2;

const DIES: &str =
    "a function that dies (memory, time, a deployment) locks clients out, or never ends its rotation";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(PART, "killed anywhere, the same rotation goes on", DIES, |trial| {
            Box::pin(cut(trial, |trial, all| of_kind(trial, all, Aftermath::Killed)))
        }),
        Check::new(
            PART,
            "an answer lost anywhere, the same rotation goes on",
            "a dropped connection locks clients out, or never ends its rotation",
            |trial| Box::pin(cut(trial, |trial, all| of_kind(trial, all, Aftermath::Disconnected))),
        ),
        Check::new(
            PART,
            "killed anywhere, a new rotation is begun",
            "after an operator drops AWSPENDING, as AWS's manual says, nothing the function tries logs in any more",
            |trial| Box::pin(cut(trial, |trial, all| of_kind(trial, all, Aftermath::Abandoned))),
        ),
        Check::new(
            PART,
            "one step in two processes at once",
            "a retry that overtakes a slow invocation locks clients out",
            |trial| Box::pin(cut(trial, |trial, all| of_kind(trial, all, Aftermath::Doubled))),
        ),
        Check::new(
            PART,
            "a newer rotation overtakes a slow one",
            "of two rotations at once one promotes what the other has made invalid",
            |trial| Box::pin(cut(trial, |trial, all| of_kind(trial, all, Aftermath::Overtaken))),
        ),
        Check::new(PART, "killed, and killed again", DIES, |trial| {
            Box::pin(cut(trial, |trial, all| all.pairs(PAIRS, trial.seed)))
        }),
    ]
}

/// The cases with this aftermath, in an order that the seed decides.
fn of_kind(trial: &Trial, recording: &Recording, aftermath: Aftermath) -> Vec<Case> {
    let mut cases: Vec<Case> =
        recording.all().into_iter().filter(|case| case.aftermath == aftermath).collect();
    cases.shuffle(&mut StdRng::seed_from_u64(trial.seed));
    cases
}

/// Records a rotation, and then cuts others where the recording says that they can be cut.
async fn cut(trial: Shared<Trial>, cases: fn(&Trial, &Recording) -> Vec<Case>) -> Judged {
    let stages = Shared::clone(&trial);
    let make = move || {
        let trial = Shared::clone(&stages);
        async move { trial.stage().await }
    };
    let recording = sweep::record(&make).await.map_err(unrecorded)?;
    if recording.all().is_empty() {
        return Err(Flaw::Unclear("a rotation calls nothing that could be cut".into()));
    }
    let cases = cases(&trial, &recording);
    let wanted = if trial.bench.all { cases.len() } else { SAMPLE };
    swept(&make, cases, wanted).await
}

fn unrecorded(why: String) -> Flaw {
    match why.contains(sweep::NO_STAGE) {
        true => Flaw::Unclear(why),
        false => Flaw::Stuck(format!("a rotation without any cut fails: {why}")),
    }
}

/// Runs cases until so many were cut. A case whose place a rotation did not come by shows nothing, and the next takes its place.
async fn swept<F, S>(make: &F, mut cases: Vec<Case>, wanted: usize) -> Judged
where
    F: Fn() -> S + Clone + Send + Sync + 'static,
    S: Future<Output = std::io::Result<sweep::Stage>> + Send + 'static,
{
    let enough = SAMPLE.min(cases.len());
    let (mut reached, mut missed) = (0, Vec::new());
    while reached < wanted && !cases.is_empty() {
        let rest = cases.split_off(cases.len().min(wanted - reached));
        let report = sweep::run(make.clone(), std::mem::replace(&mut cases, rest), AT_ONCE, None).await;
        let (unseen, failed): (Vec<_>, Vec<_>) =
            report.failures.into_iter().partition(|it| shows_nothing(it));
        if let Some(first) = failed.first() {
            return Err(format!("{} of {} cuts, such as {first}", failed.len(), report.cases).into());
        }
        reached += report.cases - unseen.len();
        missed.extend(unseen);
    }
    match missed.first() {
        Some(first) if reached < enough => {
            Err(Flaw::Unclear(format!("only {reached} cuts were made, because of others such as {first}")))
        }
        Some(_) => Ok(format!("{reached} cuts, and {} places that no second rotation came by", missed.len())),
        None => Ok(format!("{reached} cuts")),
    }
}

/// Whether a case failed without any fault of the function's.
fn shows_nothing(failure: &str) -> bool {
    failure.ends_with(sweep::NEVER_REACHED) || failure.contains(sweep::NO_STAGE)
}
