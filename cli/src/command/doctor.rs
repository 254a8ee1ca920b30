//! `turnlock doctor`: checks everything that a rotation of one secret rests on, and changes nothing.

use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use clap::Args;
use serde_json::json;

use crate::account::{Account, Place};
use crate::diagnose::{self, Versions};
use crate::failure::{Exit, Failure};
use crate::finding::{self, Finding};
use crate::labels::{State, moment, now};
use crate::screen::Screen;
use crate::signed::{Request, Signed};

mod deployed;
mod greeting;
mod network;
mod shared;
mod value;

/// Check everything that a rotation of this secret rests on; change nothing.
///
/// Checks secret, labels, schedule, function, role, key, network and TLS; through a function also logins and privileges. Logs in
/// with AWSCURRENT and AWSPENDING only, once each, because failed logins can lock an account. Reads this secret's current value,
/// and another secret's only with --others.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  turnlock doctor prod/app\n  turnlock doctor prod/app --function rotate-postgres\n  \
    turnlock doctor prod/app --through arn:aws:lambda:eu-west-1:123456789012:function:rotate-postgres"
)]
pub(crate) struct Doctor {
    /// The secret's name or ARN.
    #[arg(value_name = "SECRET_ID")]
    secret: String,
    /// A command: start this function here and log in with it. An ARN: check this deployed function instead of the secret's own.
    #[arg(long, value_name = "COMMAND_OR_ARN")]
    function: Option<String>,
    /// Log in from inside a deployed function that has ALLOW_DIAGNOSE=true.
    #[arg(long, value_name = "FUNCTION_ARN")]
    through: Option<String>,
    /// Try every version once, not only AWSCURRENT and AWSPENDING. Failed logins can lock an account; a limit that can be read
    /// is respected.
    #[arg(long)]
    all_versions: bool,
    /// Read the values of the other secrets here, to find one that names the same account.
    #[arg(long)]
    others: bool,
    #[command(flatten)]
    place: Place,
}

impl Doctor {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let account = Account::open(&self.place).await?;
        let state = account.state(&self.secret).await?;
        let command = self.function.as_deref().filter(|function| !function.starts_with("arn:"));
        if self.all_versions && command.is_none() && self.through.is_none() {
            return Err(Failure::usage(
                "--all-versions needs a function that can log in",
                "add --function COMMAND, or --through FUNCTION_ARN",
            ));
        }
        let mut findings = vec![clock(&account).await, labels(&state), schedule(&state)];
        let value = match value::Value::read(&account, &state).await {
            Ok(value) => {
                findings.extend(value.findings(&state));
                findings.extend(shared::finding(&account, &state, &value, self.others).await);
                Some(value)
            }
            Err(finding) => {
                findings.push(finding);
                None
            }
        };
        let arn = self.function.as_deref().filter(|function| function.starts_with("arn:"));
        let arn = arn.or(self.through.as_deref()).or(state.function());
        findings.extend(deployed::findings(&account, &state, arn).await);
        if let Some(value) = &value {
            findings.extend(network::findings(value).await);
        }
        let strategy = self.logins(&account, &state, command, &mut findings).await?;
        Ok(finding::report(screen, json!({"secret": state.arn, "strategy": strategy}), &findings))
    }

    /// The checks that only a function can make. Without a function, one finding says that they were not made.
    async fn logins(
        &self,
        account: &Account,
        state: &State,
        command: Option<&str>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<String>, Failure> {
        let versions = if self.all_versions { Versions::All } else { Versions::InUse };
        let report = match (command, &self.through) {
            (Some(command), _) => diagnose::ask_here(account, state, command, versions).await?,
            (None, Some(arn)) => diagnose::ask_there(account, state, arn, versions).await?,
            (None, None) => {
                findings.push(Finding::skipped(
                    "login",
                    "this program has no database driver",
                    Some("--function COMMAND logs in from here, --through FUNCTION_ARN from inside a deployed function"),
                ));
                return Ok(None);
            }
        };
        // The checks above cover labels and the secret already.
        findings
            .extend(report.findings.into_iter().filter(|it| it.check != "labels" && it.check != "secret"));
        Ok(report.strategy)
    }
}

/// Checks whether this machine's clock agrees with the service's, because a signature is valid for five minutes only.
async fn clock(account: &Account) -> Finding {
    let ask = async {
        let signed = Signed::new(account, Duration::from_secs(10)).await?;
        let headers =
            [("x-amz-target", "secretsmanager.ListSecrets"), ("content-type", "application/x-amz-json-1.1")];
        let (service, endpoint) = ("secretsmanager", account.endpoint.as_str());
        // Every answer has a date, even a refusal, so its content does not matter.
        let body = "{\"MaxResults\": 1}".into();
        signed.send(Request { service, endpoint, method: "POST", path: "/", headers: &headers, body }).await
    };
    let answer = match ask.await {
        Ok(answer) => answer,
        Err(failure) => return Finding::skipped("clock", failure.what, Some(&failure.hint)),
    };
    let date = answer.headers.get("date").and_then(|date| date.to_str().ok());
    match date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()) {
        None => Finding::skipped("clock", "the answer has no date", None),
        Some(there) if there.secs().abs_diff(now().secs()) <= 60 => {
            Finding::pass("clock", "this machine's clock agrees with Secrets Manager's")
        }
        Some(there) => Finding::fail(
            "clock",
            format!("this machine says {}, Secrets Manager {}", moment(now()), moment(there)),
            "set this machine's clock: AWS refuses signatures that are five minutes off",
        ),
    }
}

/// Checks whether a rotation is stuck.
fn labels(state: &State) -> Finding {
    let holder = |label: &str| state.with(label).map_or("none", |version| version.id.as_str());
    let text = format!(
        "AWSCURRENT {}, AWSPENDING {}, AWSPREVIOUS {}",
        holder("AWSCURRENT"),
        holder("AWSPENDING"),
        holder("AWSPREVIOUS")
    );
    if state.described.deleted_date.is_some() {
        return Finding::fail(
            "labels",
            "the secret is scheduled for deletion",
            "aws secretsmanager restore-secret",
        );
    }
    if state.with("AWSCURRENT").is_none() {
        return Finding::fail(
            "labels",
            format!("no version is current: {text}"),
            "`turnlock explain` says what to do",
        );
    }
    if state.under_way().is_some() {
        let what = format!("a rotation has begun and not finished: {text}");
        return Finding::fail(
            "labels",
            what,
            "`turnlock explain` says where the rotation stands, and what is safe",
        );
    }
    Finding::pass("labels", text)
}

/// Checks whether the secret rotates, and on schedule.
fn schedule(state: &State) -> Finding {
    let described = &state.described;
    if let Some(owner) = &described.owning_service {
        return Finding::skipped(
            "rotation",
            format!("{owner} manages this secret and rotates it itself"),
            None,
        );
    }
    let Some(function) = state.function() else {
        return Finding::fail(
            "rotation",
            "no rotation function is attached",
            "aws secretsmanager rotate-secret --secret-id NAME --rotation-lambda-arn ARN",
        );
    };
    if described.rotation_enabled == Some(false) {
        return Finding::fail(
            "rotation",
            format!("switched off; its rotation function is {function}"),
            "aws secretsmanager rotate-secret switches it on",
        );
    }
    let told = |at: Option<DateTime>| at.map_or("never".to_owned(), moment);
    let text = format!(
        "by {function}; last {}, next {}",
        told(described.last_rotated_date),
        told(described.next_rotation_date)
    );
    match described.next_rotation_date {
        Some(next) if next < now() => {
            let hint = "see the function's log and `turnlock explain`";
            Finding::fail("rotation", format!("overdue: {text}"), hint)
        }
        _ => Finding::pass("rotation", text),
    }
}
