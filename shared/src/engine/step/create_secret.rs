//! createSecret: a new credential becomes durable as AWSPENDING before any system has heard of it.

use crate::engine::gate::{self, Gate};
use crate::engine::job::Job;
use crate::engine::parse;
use crate::engine::store::Put;
use crate::engine::target::Target;
use crate::error::{Kind, Result};
use crate::value::version::Stage;

/// Runs the step.
pub async fn run<T: Target>(target: &T, job: &Job<'_>) -> Result<()> {
    let (labels, current, pending) =
        tokio::join!(job.store.describe(), job.store.labelled(Stage::Current), job.store.version(&job.token));
    if gate::check(&labels?, &job.token)? == Gate::Promoted {
        return Ok(());
    }
    let created = current.as_ref().ok().and_then(|version| version.as_ref()?.created);
    let current = parse::current(target, job, current)?;
    crate::door::metrics::password_age(created);
    if let Some(pending) = pending? {
        parse::version(target, job, pending)?;
        tracing::info!("this token already has a value; it is used again");
        return Ok(());
    }
    let proposed = target.propose(job, &current).await?;
    match job.store.put(&job.token, &proposed, job.authority.as_ref()).await {
        Ok(Put::Stored) => Ok(()),
        Ok(Put::Lost) => {
            tracing::info!("another invocation stored a value for this token first; it counts");
            target.withdraw(job, &proposed).await
        }
        Err(error) => {
            // Only after a definite no: when the answer is lost, the value may be stored and has to stay valid.
            if matches!(error.kind(), Kind::AccessDenied | Kind::BadSecret | Kind::NotRotatable)
                && let Err(left) = target.withdraw(job, &proposed).await
            {
                // What has to be mended is why the value could not be stored.
                tracing::warn!(
                    reason = left.story(),
                    "what could not be stored could not be taken back either"
                );
            }
            Err(error)
        }
    }
}
