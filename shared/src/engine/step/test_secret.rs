//! testSecret: pending logs in, is who it should be, and may do what it should. Works on its own, because RotateSecret with
//! RotateImmediately=false calls nothing else.

use crate::engine::gate::{self, Gate};
use crate::engine::job::Job;
use crate::engine::ladder;
use crate::engine::parse;
use crate::engine::target::Target;
use crate::error::Result;

/// Runs the step.
pub async fn run<T: Target>(target: &T, job: &Job<'_>) -> Result<()> {
    let _approach = target.approach(job);
    let (labels, pending) = tokio::join!(job.store.describe(), job.store.version(&job.token));
    if gate::check(&labels?, &job.token)? == Gate::Promoted {
        return Ok(());
    }
    let pending = parse::pending(target, job, pending).await?;
    let (mut session, _) = ladder::prove(target, job, &pending).await?;
    target.check(job, &mut session, &pending).await
}
