//! testSecret: pending logs in, is who it should be, and may do what it should. Works on its own, because RotateSecret with
//! RotateImmediately=false calls nothing else.

use crate::error::Result;
use crate::gate::{self, Gate};
use crate::job::Job;
use crate::ladder;
use crate::parse;
use crate::target::Target;

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
