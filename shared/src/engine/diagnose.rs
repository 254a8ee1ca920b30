//! The diagnose event: look at a secret from where the function runs, change nothing, and report in one fixed shape. Answered
//! only where the deployment allows it, only for secrets that this function rotates, and only with AWSCURRENT and AWSPENDING,
//! unless all versions are asked for: failed logins can lock an account.

use std::time::Instant;

use serde_json::{Value, json};

use crate::door::event::Examination;
use crate::engine::credential::Credential;
use crate::engine::finding::Finding;
use crate::engine::job::Job;
use crate::engine::ladder;
use crate::engine::parse;
use crate::engine::provenance;
use crate::engine::target::{Diagnosis, Login, Target};
use crate::error::{Error, Kind, Result};
use crate::value::settings::Settings;
use crate::value::version::{Labels, Parsed, Stage, VersionId};

/// Looks, and reports. `function` is the ARN this process was invoked by.
pub async fn run<T: Diagnosis>(
    target: &T,
    job: &Job<'_>,
    examination: &Examination,
    function: &str,
    local: bool,
) -> Result<Value> {
    allowed(job.settings)?;
    let labels = job.store.describe().await?;
    if !local && labels.function.as_deref().map(unqualified) != Some(unqualified(function)) {
        return Err(Error::new(Kind::NotOurs, "this function does not rotate this secret"));
    }
    let mut report = Report { started: Instant::now(), wanted: &examination.checks, lines: Vec::new() };
    report.add(rotation(&labels));
    let current = examine(target, job, &mut report, Stage::Current, &labels).await;
    if let Some(current) = &current {
        report.add(admin(target, job, current).await);
        report.add(policy(target, job, current));
    }
    let pending = examine(target, job, &mut report, Stage::Pending, &labels).await;
    if let (Some(current), Some(pending)) = (&current, &pending) {
        report.add(made_from(current, pending));
    }
    if let (true, Some(current)) = (examination.every_version, &current) {
        older_logins(target, job, &mut report, current, &labels).await;
    }
    let strategy = current.map(|parsed| parsed.account.strategy().name());
    let mut lines = report.lines;
    // Whatever a server said is in there.
    for line in &mut lines {
        job.scrub.clean_json(&mut line["Detail"]);
        job.scrub.clean_json(&mut line["Hint"]);
    }
    Ok(json!({"SecretId": labels.arn, "Target": T::NAME, "Strategy": strategy, "Checks": lines}))
}

/// Looks at a provider file alone: the same report, for no secret.
pub fn inspect<T: Diagnosis>(target: &T, settings: &Settings, provider: &str) -> Result<Value> {
    allowed(settings)?;
    let mut report = Report { started: Instant::now(), wanted: &[], lines: Vec::new() };
    report.add(target.inspect(provider));
    Ok(json!({"SecretId": null, "Target": T::NAME, "Strategy": null, "Checks": report.lines}))
}

fn allowed(settings: &Settings) -> Result<()> {
    if settings.allow_diagnose {
        return Ok(());
    }
    Err(Error::new(Kind::BadEvent, "this function does not answer the diagnose event")
        .remedy("set ALLOW_DIAGNOSE=true in the function's configuration"))
}

struct Report<'a> {
    started: Instant,
    wanted: &'a [String],
    lines: Vec<Value>,
}

impl Report<'_> {
    fn add(&mut self, finding: Finding) {
        let ms = self.started.elapsed().as_millis() as u64;
        self.started = Instant::now();
        if self.wanted.is_empty() || self.wanted.iter().any(|name| name == finding.check) {
            self.lines.push(json!({
                "Check": finding.check, "Verdict": finding.verdict.name(), "Detail": finding.detail,
                "Hint": finding.hint, "Milliseconds": ms,
            }));
        }
    }
}

/// A function's ARN without version or alias.
fn unqualified(arn: &str) -> String {
    arn.split(':').take(7).collect::<Vec<_>>().join(":")
}

fn rotation(labels: &Labels) -> Finding {
    let holders = [Stage::Current, Stage::Pending, Stage::Previous]
        .map(|stage| format!("{}: {}", stage.name(), labels.holder(stage).map_or("none", |id| id.as_str())));
    let detail = holders.join(", ");
    if labels.rotation_enabled == Some(false) {
        let off = Error::new(Kind::NotRotatable, format!("rotation is switched off; {detail}"));
        return Finding::fail("labels", &off.remedy("RotateSecret with this function switches it on"));
    }
    match (labels.holder(Stage::Current), labels.holder(Stage::Pending)) {
        (Some(current), Some(pending)) if current != pending => {
            let stuck =
                Error::new(Kind::NotRotatable, format!("a rotation has begun and not finished; {detail}"));
            Finding::fail("labels", &stuck.remedy("run the rotation again, or `turnlock explain`"))
        }
        (None, _) => {
            Finding::fail("labels", &Error::new(Kind::NotRotatable, format!("nothing is current; {detail}")))
        }
        _ => Finding::pass("labels", detail),
    }
}

/// Shape and login of one version.
async fn examine<T: Diagnosis>(
    target: &T,
    job: &Job<'_>,
    report: &mut Report<'_>,
    stage: Stage,
    labels: &Labels,
) -> Option<Parsed<T::Account>> {
    let (shape, login) = match stage {
        Stage::Current => ("secret", "login-current"),
        Stage::Pending | Stage::Previous => ("secret-pending", "login-pending"),
    };
    let Some(id) = labels.holder(stage) else {
        report.add(Finding::skipped(login, format!("no version is labelled {}", stage.name())));
        return None;
    };
    let parsed = match job.store.version(id).await.and_then(|version| {
        let empty = || Error::new(Kind::NotRotatable, format!("version {id} has no value yet"));
        parse::version(target, job, version.ok_or_else(empty)?)
    }) {
        Ok(parsed) => parsed,
        Err(error) => {
            report.add(Finding::fail(shape, &error));
            return None;
        }
    };
    report.add(Finding::pass(shape, format!("version {id} is complete")));
    match ladder::prove(target, job, &parsed).await {
        Ok((mut session, _)) => {
            report.add(Finding::pass(login, format!("version {id} logs in")));
            // What pending needs is the same, and has been looked at by then.
            if stage == Stage::Current {
                for finding in target.examine(job, &mut session, &parsed.account).await {
                    report.add(finding);
                }
            }
        }
        Err(error) => report.add(Finding::fail(login, &error)),
    }
    Some(parsed)
}

/// The versions further down the ladder, each once, and none that may lock the account. That an old one is refused is nothing
/// wrong; that one logs in may be what somebody looks for.
async fn older_logins<T: Target>(
    target: &T,
    job: &Job<'_>,
    report: &mut Report<'_>,
    current: &Parsed<T::Account>,
    labels: &Labels,
) {
    let versions = match job.store.all_versions().await {
        Ok(versions) => versions,
        Err(error) => return report.add(Finding::fail("login-older", &error)),
    };
    let tried = [labels.holder(Stage::Current), labels.holder(Stage::Pending)];
    let admin = target.admin(job, &current.account).await.ok().flatten();
    let mut patience = match &admin {
        // Nobody can read how many refusals the account bears. One is risked here.
        None if target.locks_unseen() => Some(1),
        admin => target.patience(job, &current.account, admin.as_ref()).await,
    };
    for id in versions.iter().filter(|id| !tried.contains(&Some(id))) {
        let check = if labels.has(id, Stage::Previous) { "login-previous" } else { "login-older" };
        if patience == Some(0) {
            let why = format!("version {id} is not tried: one more refusal may lock the account");
            report.add(Finding::skipped(check, why));
            continue;
        }
        match attempt(target, job, current, id).await {
            Ok(Some(Login::Accepted(_))) => {
                report.add(Finding::pass(check, format!("version {id} logs in")));
            }
            Ok(Some(Login::Rejected(words))) => {
                patience = patience.map(|left| left.saturating_sub(1));
                report.add(Finding::pass(check, format!("version {id} is refused with {words}")));
            }
            Ok(None) => report.add(Finding::skipped(check, format!("version {id} has no value"))),
            // Another server's or account's: its password is sent nowhere.
            Err(error) => report.add(Finding::skipped(check, format!("version {id}: {error}"))),
        }
    }
}

async fn attempt<T: Target>(
    target: &T,
    job: &Job<'_>,
    current: &Parsed<T::Account>,
    id: &VersionId,
) -> Result<Option<Login<T::Session>>> {
    let Some(version) = job.store.version(id).await? else { return Ok(None) };
    let parsed = parse::version(target, job, version)?;
    current.account.agree(&parsed.account)?;
    target.login(job, &parsed.account, None).await.map(Some)
}

/// Whether pending may follow what AWSCURRENT holds by now.
fn made_from<A: Credential>(current: &Parsed<A>, pending: &Parsed<A>) -> Finding {
    match provenance::made_from(current, pending) {
        Ok(()) => Finding::pass("made-from", "AWSPENDING was made from the value that AWSCURRENT holds"),
        Err(error) => Finding::fail("made-from", &error),
    }
}

async fn admin<T: Target>(target: &T, job: &Job<'_>, parsed: &Parsed<T::Account>) -> Finding {
    match target.admin(job, &parsed.account).await {
        Ok(Some(_)) => Finding::pass("admin", "the admin secret can be read and is for the same server"),
        Ok(None) => Finding::skipped("admin", "this strategy needs no admin"),
        Err(error) => Finding::fail("admin", &error),
    }
}

/// Whether a new credential could be made; where the service makes it, asking would make one.
fn policy<T: Diagnosis>(target: &T, job: &Job<'_>, parsed: &Parsed<T::Account>) -> Finding {
    match target.rehearse(job, &parsed.account) {
        Ok(()) => Finding::pass("policy", "a password can be made that fits"),
        Err(error) => Finding::fail("policy", &error),
    }
}
