//! setSecret: the server learns the pending credential, from a session that the secret itself has opened, under the lock. Where that
//! changes the account in use, pending logs in before the step is done.

use std::time::Instant;

use crate::door::event::Step;
use crate::engine::credential::Credential;
use crate::engine::downtime;
use crate::engine::gate::{self, Gate};
use crate::engine::job::Job;
use crate::engine::ladder::{self, Rung};
use crate::engine::parse;
use crate::engine::provenance;
use crate::engine::target::Target;
use crate::engine::verify::Changed;
use crate::error::Result;
use crate::value::version::Stage;

/// Runs the step.
pub async fn run<T: Target>(target: &T, job: &Job<'_>) -> Result<()> {
    let _approach = target.approach(job);
    let (labels, current, pending) =
        tokio::join!(job.store.describe(), job.store.labelled(Stage::Current), job.store.version(&job.token));
    let labels = labels?;
    if gate::check(&labels, &job.token)? == Gate::Promoted {
        return Ok(());
    }
    let current = parse::current(target, job, current)?;
    let pending = parse::pending(target, job, pending).await?;
    provenance::check(&labels, &current, &pending)?;
    current.account.may_be_followed_by(&pending.account)?;
    if target.is_set(job, &pending).await? {
        tracing::info!("the service has made this credential itself; nothing is left to set");
        return Ok(());
    }
    let admin = target.admin(job, &current.account).await?;
    let (proven, older) =
        match ladder::climb(target, job, &labels, &current, &pending, admin.as_ref()).await? {
            Rung::Proven(session, older) => (Some(session), older),
            Rung::Reset => (None, None),
            Rung::Applied => {
                tracing::info!("pending already logs in; nothing is left to set");
                return Ok(());
            }
        };
    let opened = proven.as_ref().map(|_| older.as_ref().unwrap_or(&current));
    let mut writer = target.writer(job, Step::SetSecret, &pending, admin.as_ref(), proven).await?;
    if gate::second_look(job, &labels).await?.0 == Gate::Promoted {
        return Ok(());
    }
    target.apply(job, &mut writer, admin.as_ref(), &current, &pending).await?;
    if !pending.account.strategy().overlaps() {
        let since = Instant::now();
        let admin = admin.as_ref();
        let changed = Changed { target, job, admin, current: &current, pending: &pending, opened };
        changed.verify(&mut writer).await?;
        downtime::begins(&job.token, since);
    }
    Ok(())
}
