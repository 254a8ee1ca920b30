//! finishSecret: AWSCURRENT moves to the token, away from the version that pending was made from, after pending has logged in once more
//! under the lock. The work after a promotion is done again whenever the step is called for a token that is current already, so no
//! crash can skip it.

use crate::door::event::Step;
use crate::engine::credential::Credential;
use crate::engine::downtime;
use crate::engine::gate::{self, Gate};
use crate::engine::job::Job;
use crate::engine::ladder;
use crate::engine::parse;
use crate::engine::provenance;
use crate::engine::target::Target;
use crate::error::Result;
use crate::value::version::{Labels, Parsed, Stage};

/// Runs the step.
pub async fn run<T: Target>(target: &T, job: &Job<'_>) -> Result<()> {
    let _approach = target.approach(job);
    let (labels, current, pending) =
        tokio::join!(job.store.describe(), job.store.labelled(Stage::Current), job.store.version(&job.token));
    let labels = labels?;
    let gate = gate::check(&labels, &job.token)?;
    let pending = parse::pending(target, job, pending).await?;
    if gate == Gate::Promoted && !pending.account.settles() {
        return Ok(());
    }
    if gate == Gate::Open {
        let current = parse::current(target, job, current)?;
        provenance::check(&labels, &current, &pending)?;
    }
    let admin = target.admin(job, &pending.account).await?;
    let (session, _) = ladder::prove(target, job, &pending).await?;
    let step = Step::FinishSecret;
    let mut writer = target.writer(job, step, &pending, admin.as_ref(), Some(session)).await?;
    let (gate, labels) = gate::second_look(job, &labels).await?;
    if gate == Gate::Open {
        promote(target, job, &mut writer, &labels, &pending).await?;
    }
    if pending.account.settles() {
        target.after_promotion(job, &mut writer, &labels, &pending).await?;
    }
    Ok(())
}

/// The lock is held, and the labels are as they were: one more login as the proof, then the move.
async fn promote<T: Target>(
    target: &T,
    job: &Job<'_>,
    writer: &mut T::Writer,
    labels: &Labels,
    pending: &Parsed<T::Account>,
) -> Result<()> {
    let (_, proof) = ladder::prove(target, job, pending).await?;
    target.before_promotion(job, writer, labels, pending).await?;
    // Still the version that pending was compared with: the second look has seen that.
    job.store.promote(&proof, labels.holder(Stage::Current)).await?;
    crate::door::metrics::rotated();
    if !pending.account.strategy().overlaps() {
        downtime::ends(&job.token);
    }
    Ok(())
}
