//! The client of the diagnose event: asks a function to check a secret from where the function runs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::account::Account;
use crate::between::Between;
use crate::failure::Failure;
use crate::finding::{Finding, Verdict};
use crate::function::{Function, Refused};
use crate::labels::State;
use crate::signed::Signed;

/// What a function reported.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) strategy: Option<String>,
    pub(crate) findings: Vec<Finding>,
}

/// Which versions to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    /// AWSCURRENT and AWSPENDING.
    InUse,
    /// Every one, once each.
    All,
}

impl Versions {
    fn event(self, state: &State) -> Value {
        json!({"Step": "diagnose", "SecretId": state.arn, "AllVersions": self == Versions::All})
    }
}

/// The outcome of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// The server accepted it.
    Accepted,
    /// The server refused the login.
    Rejected,
    /// There was no answer, or the login was not tried.
    Unknown,
}

impl Report {
    /// Whether AWSCURRENT was edited after the pending value had been made.
    pub(crate) fn edited(&self) -> bool {
        self.findings.iter().any(|it| it.check == "made-from" && it.verdict == Verdict::Fail)
    }

    /// The outcome of the login with `current` or `pending`.
    pub(crate) fn login(&self, which: &str) -> Login {
        let check = format!("login-{which}");
        match self.findings.iter().find(|it| it.check == check) {
            Some(Finding { verdict: Verdict::Pass, .. }) => Login::Accepted,
            Some(Finding { verdict: Verdict::Fail, detail, .. })
                if detail.starts_with("CredentialRejected") =>
            {
                Login::Rejected
            }
            _ => Login::Unknown,
        }
    }
}

/// Starts a function here and asks it. Its requests to Secrets Manager are signed with this account's credentials.
pub(crate) async fn ask_here(
    account: &Account,
    state: &State,
    command: &str,
    versions: Versions,
) -> Result<Report, Failure> {
    let signed = Signed::new(account, Duration::from_secs(30)).await?;
    let between = Between::start(signed, &account.endpoint, &state.arn, None).await?;
    let mut env = between.env(account.region()).to_vec();
    env.push(("ALLOW_DIAGNOSE", "true"));
    let function = Function::start("local", command, &env).await?;
    ask(&function, &versions.event(state)).await
}

/// Asks a deployed function.
pub(crate) async fn ask_there(
    account: &Account,
    state: &State,
    arn: &str,
    versions: Versions,
) -> Result<Report, Failure> {
    let function = Function::deployed(account, arn).await?;
    ask(&function, &versions.event(state)).await
}

/// Sends a diagnose event.
pub(crate) async fn ask(function: &Function, event: &Value) -> Result<Report, Failure> {
    let answer = function.invoke(event).await?.map_err(|refused| unanswered(function, &refused))?;
    let lines = answer["Checks"].as_array().ok_or_else(|| {
        Failure::blind(
            "the function answered, but not with a report",
            "is it one of Turnlock's? AWS's own functions do not know the diagnose event",
        )
    })?;
    let strategy = answer["Strategy"].as_str().map(str::to_owned);
    Ok(Report { strategy, findings: lines.iter().map(Finding::of).collect() })
}

fn unanswered(function: &Function, refused: &Refused) -> Failure {
    let (what, hint) = refused.split();
    let last = function.output().lines().last().filter(|_| refused.is_silence()).map(str::to_owned);
    let what = last.map_or(what.clone(), |line| format!("{what}: {line}"));
    let hint = hint.unwrap_or("check the command or ARN; AWS's own functions do not know the diagnose event");
    Failure::blind(format!("the function gave no report: {what}"), hint)
}
