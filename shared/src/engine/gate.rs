//! Whether a step may run: AWS's own checks, in AWS's order; and the second look at the same labels under the lock.

use crate::door::event::Step;
use crate::engine::job::Job;
use crate::error::{Error, Kind, Result};
use crate::value::version::{Labels, Stage, VersionId};

/// What the labels say about a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Gate {
    /// The step may run.
    Open,
    /// The token is current: the rotation is over. Only what must follow a promotion is still done.
    Promoted,
}

/// The checks of AWS's functions, in their order. An unknown step is only noticed behind them, by `rotate`.
pub fn check(labels: &Labels, token: &VersionId) -> Result<Gate> {
    let closed = |what: String| Err(Error::new(Kind::NotRotatable, what));
    if labels.rotation_enabled == Some(false) {
        return closed("rotation is not enabled for this secret".into());
    }
    if !labels.knows(token) {
        return closed(format!("version {token} is not one of this secret's: it has no label for rotation"));
    }
    if labels.has(token, Stage::Current) {
        return Ok(Gate::Promoted);
    }
    if !labels.has(token, Stage::Pending) {
        return closed(format!("version {token} is not labelled AWSPENDING"));
    }
    Ok(Gate::Open)
}

/// The same labels once more, now that no other rotation of this secret can change anything: AWSPENDING must still be on the
/// token, and AWSCURRENT where the step saw it. A step that waited for the lock may have been overtaken. The labels of this look are
/// returned, so that the caller can compare older ones with them.
pub async fn second_look(job: &Job<'_>, seen: &Labels) -> Result<(Gate, Labels)> {
    let now = job.store.describe().await?;
    let gate = check(&now, &job.token).map_err(|error| {
        Error::new(Kind::Conflict, "this rotation was overtaken while it waited for its turn").because(&error)
    })?;
    if gate == Gate::Open && now.holder(Stage::Current) != seen.holder(Stage::Current) {
        return Err(Error::new(Kind::Conflict, "AWSCURRENT moved while this rotation waited for its turn"));
    }
    Ok((gate, now))
}

/// The error for a step nobody has heard of.
pub fn unknown_step(name: &str) -> Error {
    let known = [Step::CreateSecret, Step::SetSecret, Step::TestSecret, Step::FinishSecret].map(Step::name);
    Error::new(Kind::BadEvent, format!("there is no step {name:?}; the steps are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(enabled: Option<bool>, versions: &[(&str, &[&str])]) -> Labels {
        let versions = versions.iter().map(|(id, labels)| {
            (VersionId::new(*id), labels.iter().map(|label| (*label).to_owned()).collect())
        });
        Labels { rotation_enabled: enabled, versions: Some(versions.collect()), ..Labels::default() }
    }

    #[track_caller]
    fn check_gate(labels: &Labels, expected: Result<Gate, &str>) {
        let found = check(labels, &VersionId::new("t")).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn the_gate_is_awss_in_awss_order() {
        let pending: &[(&str, &[&str])] = &[("t", &["AWSPENDING"]), ("c", &["AWSCURRENT"])];
        check_gate(&labels(Some(true), pending), Ok(Gate::Open));
        check_gate(&labels(None, pending), Ok(Gate::Open));
        check_gate(&labels(Some(false), pending), Err("rotation is not enabled for this secret"));
        let unknown = "version t is not one of this secret's: it has no label for rotation";
        check_gate(&labels(Some(true), &[("c", &["AWSCURRENT"])]), Err(unknown));
        check_gate(&Labels::default(), Err(unknown));
        check_gate(&labels(Some(true), &[("t", &["AWSCURRENT", "AWSPENDING"])]), Ok(Gate::Promoted));
        check_gate(&labels(Some(true), &[("t", &["AWSCURRENT"])]), Ok(Gate::Promoted));
        check_gate(
            &labels(Some(false), &[("t", &["AWSCURRENT"])]),
            Err("rotation is not enabled for this secret"),
        );
        check_gate(
            &labels(Some(true), &[("t", &["AWSPREVIOUS"])]),
            Err("version t is not labelled AWSPENDING"),
        );
        check_gate(&labels(Some(true), &[("t", &[])]), Err("version t is not labelled AWSPENDING"));
    }
}
