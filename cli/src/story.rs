//! Decides where a rotation stands and which action is safe next, from labels and logins alone.

use crate::diagnose::Login;
use crate::labels::{CURRENT, PREVIOUS, State};

/// What is known about a secret.
pub(crate) struct Facts<'a> {
    pub(crate) state: &'a State,
    /// Whether the pending version has a value; `None` if it may not be read.
    pub(crate) filled: Option<bool>,
    pub(crate) current: Login,
    pub(crate) pending: Login,
    /// Whether AWSCURRENT was edited after the pending value had been made.
    pub(crate) edited: bool,
}

/// The next safe action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing is to be done.
    Nothing,
    /// Run the steps again for the version that is pending.
    RunAgain,
    /// Remove AWSPENDING, because the server has never accepted that version. A new rotation makes a new one.
    DropPending,
    /// Start a new rotation.
    Rotate,
    /// A person has to act.
    Person,
}

impl Action {
    /// The name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Action::Nothing => "nothing",
            Action::RunAgain => "run-again",
            Action::DropPending => "drop-pending",
            Action::Rotate => "rotate",
            Action::Person => "person",
        }
    }
}

/// The state of a rotation, in words, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    /// The state, in one sentence.
    pub(crate) what: &'static str,
    /// The reason, or what the state means for clients.
    pub(crate) why: &'static str,
    pub(crate) action: Action,
    /// What to do, in words.
    pub(crate) advice: &'static str,
}

/// Finds the story for these facts.
pub(crate) fn tell(facts: &Facts<'_>) -> Story {
    let state = facts.state;
    if state.described.deleted_date.is_some() {
        return Story {
            what: "the secret is scheduled for deletion",
            why: "Secrets Manager neither rotates the secret nor gives it to clients",
            action: Action::Person,
            advice: "if that is a mistake: aws secretsmanager restore-secret",
        };
    }
    if state.with(CURRENT).is_none() {
        return Story {
            what: "no version is labelled AWSCURRENT",
            why: "clients get nothing, and no rotation can begin",
            action: Action::Person,
            advice: "store a value with put-secret-value, or move AWSCURRENT back to a version that logs in",
        };
    }
    if state.under_way().is_some() {
        return pending(facts);
    }
    match facts.current {
        Login::Rejected => lost(state),
        Login::Accepted | Login::Unknown if state.described.rotation_enabled == Some(false) => Story {
            what: "rotation is switched off",
            why: "CancelRotateSecret switches it off, and RotateSecret switches it on again",
            action: Action::Person,
            advice: "leave rotation off, or switch it on: aws secretsmanager rotate-secret --secret-id NAME",
        },
        Login::Accepted | Login::Unknown if state.function().is_none() => Story {
            what: "no rotation is under way, and none will begin by itself",
            why: "no rotation function is attached to the secret",
            action: Action::Person,
            advice: "attach a function: aws secretsmanager rotate-secret --rotation-lambda-arn ARN",
        },
        Login::Accepted | Login::Unknown => Story {
            what: "no rotation is under way",
            why: "no version is pending",
            action: Action::Nothing,
            advice: "nothing to do",
        },
    }
}

/// The story of a rotation that has begun and not finished.
fn pending(facts: &Facts<'_>) -> Story {
    if facts.edited {
        return Story {
            what: "AWSCURRENT was edited after this rotation had made its new value",
            why: "the new value was made from the older one, so setSecret and finishSecret refuse it: it would undo the edit",
            action: Action::DropPending,
            advice: "remove AWSPENDING and rotate again: the next value is made from the edited one",
        };
    }
    match (facts.filled, &facts.current, &facts.pending) {
        (_, _, Login::Accepted) => Story {
            what: "the new password works, but is not yet the current one",
            why: "setSecret is done; testSecret or finishSecret failed or never ran",
            action: Action::RunAgain,
            advice: "run the steps again: finishSecret moves AWSCURRENT to the new version",
        },
        (_, Login::Accepted, Login::Rejected) => Story {
            what: "a new password is stored, but the server does not know it",
            why: "createSecret is done, setSecret failed or never ran; clients are not affected",
            action: Action::DropPending,
            advice: "remove AWSPENDING and rotate again: the next rotation makes another password, which helps if a policy of the server refused this one",
        },
        (_, Login::Rejected, Login::Rejected) => Story {
            what: "neither the current nor the new password logs in",
            why: "somebody changed the password on the server, or restored an older database; clients are locked out",
            action: Action::Person,
            advice: "set the user's password on the server to the one in AWSCURRENT (and a new date, if the account has expired), or rotate once with ADMIN_RESET=true and an admin secret (masterarn)",
        },
        (Some(false), ..) => Story {
            what: "a rotation has begun, but no new password is stored",
            why: "createSecret failed or never ran; clients are not affected",
            action: Action::RunAgain,
            advice: "run the steps again, from createSecret",
        },
        _ => Story {
            what: "a rotation has begun and not finished",
            why: "it is not known which password the server accepts (--function COMMAND or --through ARN tries the logins)",
            action: Action::RunAgain,
            advice: "run the steps again, which is always safe; do not remove the label blindly",
        },
    }
}

/// The story if nothing is pending and the current password is refused.
fn lost(state: &State) -> Story {
    let current = state.with(CURRENT).and_then(|version| version.created);
    let newer = state.versions.iter().any(|it| it.labels.is_empty() && it.created > current);
    if newer {
        return Story {
            what: "the current password is refused, and a newer version has no label",
            why: "perhaps the server accepted that version before AWSPENDING was removed; clients are locked out",
            action: Action::Rotate,
            advice: "rotate: Turnlock's functions try versions without a label too",
        };
    }
    Story {
        what: "the current password is refused",
        why: if state.with(PREVIOUS).is_some() {
            "somebody changed the password on the server, or restored an older database; clients are locked out"
        } else {
            "the secret never held a password that the server accepts, or somebody changed the password there"
        },
        action: Action::Rotate,
        advice: "rotate: the previous password and versions without a label are tried too; if none logs in, set the user's password on the server to the one in AWSCURRENT",
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::labels::{PENDING, Version};

    /// Versions as their labels, oldest first.
    #[track_caller]
    fn check(versions: &[&[&str]], filled: bool, current: Login, pending: Login, action: Action, what: &str) {
        let versions = versions.iter().enumerate().map(|(at, labels)| Version {
            id: format!("v{at}"),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            created: Some(DateTime::from_secs(at as i64)),
        });
        let described =
            DescribeSecretOutput::builder().rotation_lambda_arn("arn").rotation_enabled(true).build();
        let state = State::new(described, versions.collect());
        let story = tell(&Facts { state: &state, filled: Some(filled), current, pending, edited: false });
        assert_eq!((story.action, story.what), (action, what), "{}", story.advice);
    }

    use Login::{Accepted, Rejected, Unknown};

    const NEW: &[&[&str]] = &[&[PREVIOUS], &[CURRENT], &[PENDING]];

    #[test]
    fn a_pending_version_that_works_is_finished_and_never_dropped() {
        let what = "the new password works, but is not yet the current one";
        for current in [Accepted, Rejected, Unknown] {
            check(NEW, true, current, Accepted, Action::RunAgain, what);
        }
    }

    #[test]
    fn the_label_is_removed_only_if_the_server_refuses_that_version() {
        let stored = "a new password is stored, but the server does not know it";
        check(NEW, true, Accepted, Rejected, Action::DropPending, stored);
        let unknown = "a rotation has begun and not finished";
        check(NEW, true, Unknown, Unknown, Action::RunAgain, unknown);
        check(NEW, true, Accepted, Unknown, Action::RunAgain, unknown);
        check(NEW, true, Rejected, Unknown, Action::RunAgain, unknown);
        check(NEW, true, Unknown, Rejected, Action::RunAgain, unknown);
        let empty = "a rotation has begun, but no new password is stored";
        check(NEW, false, Accepted, Unknown, Action::RunAgain, empty);
    }

    #[test]
    fn a_pending_version_that_would_undo_an_edit_is_dropped_even_if_it_works() {
        let labels: &[(&str, &str)] = &[("v0", CURRENT), ("v1", PENDING)];
        let versions = labels.iter().map(|(id, label)| Version {
            id: (*id).to_owned(),
            labels: vec![(*label).to_owned()],
            created: None,
        });
        let described = DescribeSecretOutput::builder().rotation_lambda_arn("arn").build();
        let state = State::new(described, versions.collect());
        let facts =
            Facts { state: &state, filled: Some(true), current: Rejected, pending: Accepted, edited: true };
        assert_eq!(tell(&facts).action, Action::DropPending);
    }

    #[test]
    fn a_lockout_is_reported() {
        let both = "neither the current nor the new password logs in";
        check(NEW, true, Rejected, Rejected, Action::Person, both);
        let lost = "the current password is refused, and a newer version has no label";
        check(&[&[PREVIOUS], &[CURRENT], &[]], true, Rejected, Unknown, Action::Rotate, lost);
        check(&[&[], &[CURRENT]], true, Rejected, Unknown, Action::Rotate, "the current password is refused");
    }

    #[test]
    fn a_quiet_secret_is_left_alone() {
        let quiet = "no rotation is under way";
        check(&[&[PREVIOUS], &[CURRENT]], true, Accepted, Unknown, Action::Nothing, quiet);
        check(&[&[PREVIOUS], &[CURRENT, PENDING]], true, Unknown, Unknown, Action::Nothing, quiet);
        check(&[&[PREVIOUS]], true, Unknown, Unknown, Action::Person, "no version is labelled AWSCURRENT");
    }
}
