//! `turnlock invoke`: runs one rotation, or one step of it, with a process here or a deployed function.

use std::time::Duration;

use clap::Args;
use lab::rotation::Step;
use lab::secrets::new_uuid;
use serde_json::{Value, json};

use crate::account::{Account, Place};
use crate::between::{Begun, Between};
use crate::failure::{Exit, Failure};
use crate::function::{Function, Refused};
use crate::labels::{CURRENT, State};
use crate::screen::{Paint, RESUMABLE, Screen};
use crate::signed::Signed;

/// Rotate a secret once, or run one step, and show what it did to the labels.
///
/// With a COMMAND the function runs on this machine, and turnlock plays Secrets Manager's part. The process needs no
/// credentials, because turnlock signs its requests with yours. With an ARN, or without --function, Secrets Manager rotates by
/// the function that the secret is configured with. A rotation that began and did not finish goes on where it stopped.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  turnlock invoke prod/app --function rotate-postgres --endpoint-url http://127.0.0.1:4599\n  \
    turnlock invoke prod/app --function 'env PASSWORD_LENGTH=40 rotate-postgres' --step createSecret\n  \
    turnlock invoke prod/app --yes"
)]
pub(crate) struct Invoke {
    /// The secret's name or ARN.
    #[arg(value_name = "SECRET_ID")]
    secret: String,
    /// A command to start here, or the ARN of a deployed function.
    #[arg(long, value_name = "COMMAND_OR_ARN")]
    function: Option<String>,
    /// Only this step, for the rotation that is under way.
    #[arg(long, value_parser = step)]
    step: Option<Step>,
    /// Do it in a real AWS account.
    #[arg(long)]
    yes: bool,
    /// Show what the function writes.
    #[arg(long)]
    logs: bool,
    /// How long to wait for Secrets Manager to finish a rotation, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    place: Place,
}

/// One step that was run.
struct Run {
    step: Step,
    took: Duration,
    refused: Option<Refused>,
}

impl Invoke {
    /// A whole rotation.
    pub(super) fn whole(secret: String, function: Option<String>, yes: bool, place: Place) -> Invoke {
        Invoke { secret, function, step: None, yes, logs: false, wait: 60, place }
    }

    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let account = Account::open(&self.place).await?;
        let before = account.state(&self.secret).await?;
        if !account.local && !self.yes {
            return Err(Failure::usage(
                format!("{} is in a real AWS account ({})", before.arn, account.endpoint),
                "add --yes to rotate it there, or point at a lab with --endpoint-url",
            ));
        }
        if !screen.json {
            screen.out("Before");
            before.print_labels(screen);
        }
        let command = self.function.as_deref().filter(|it| !it.starts_with("arn:"));
        let (token, runs) = match (command, self.step, before.under_way()) {
            (None, None, None) => (self.by_the_service(&account, &before, screen).await?, Vec::new()),
            (command, ..) => self.by_hand(&account, &before, command, screen).await?,
        };
        let after = account.state(&before.arn).await?;
        self.report(screen, &before, &after, &token, &runs)
    }

    /// Plays Secrets Manager's part.
    async fn by_hand(
        &self,
        account: &Account,
        before: &State,
        command: Option<&str>,
        screen: &Screen,
    ) -> Result<(String, Vec<Run>), Failure> {
        let under_way = before.under_way();
        let begins = under_way.is_none();
        if begins && command.is_none() {
            return Err(Failure::usage(
                "no rotation is under way, and a deployed function can only start a whole rotation",
                "leave out --step, or run the function here with --function COMMAND",
            ));
        }
        if begins && self.step.is_some_and(|step| step != Step::CreateSecret) {
            return Err(Failure::usage(
                "no rotation is under way, so there is no pending version for this step",
                "begin with --step createSecret",
            ));
        }
        let token = under_way.map_or_else(new_uuid, |version| version.id.clone());
        let (function, _between) = match command {
            Some(command) => {
                let signed = Signed::new(account, Duration::from_secs(30)).await?;
                let between =
                    Between::start(signed, &account.endpoint, &before.arn, Some(Begun::new(&token, begins)))
                        .await?;
                let env = between.env(account.region());
                (Function::start("local", command, &env).await?, Some(between))
            }
            None => (Function::deployed(account, self.arn(before)?).await?, None),
        };
        if !begins && !screen.json {
            screen.out(format!("Continuing the rotation to {token}"));
        }
        let runs = self.steps(&function, &before.arn, &token, screen).await?;
        let finished = runs.last().is_some_and(|run| run.step == Step::FinishSecret && run.refused.is_none());
        if finished {
            // The service does the same after the last step.
            let after = account.state(&before.arn).await?;
            if after.with("AWSPENDING").is_some_and(|version| version.id == token && version.has(CURRENT)) {
                let dropped = account.drop_pending(&before.arn, &token).await;
                if let Err(failure) = dropped {
                    let what = "AWSPENDING stays beside AWSCURRENT, which does no harm";
                    screen.say(format!("{}: {what}: {}", screen.paint(Paint::Careful, "note"), failure.what));
                }
            }
        }
        Ok((token, runs))
    }

    fn arn<'a>(&'a self, before: &'a State) -> Result<&'a str, Failure> {
        self.function.as_deref().or(before.function()).ok_or_else(|| {
            Failure::usage(
                "the secret has no rotation function",
                "name one with --function: a command to start here, or an ARN",
            )
        })
    }

    async fn steps(
        &self,
        function: &Function,
        arn: &str,
        token: &str,
        screen: &Screen,
    ) -> Result<Vec<Run>, Failure> {
        let mut runs: Vec<Run> = Vec::new();
        for step in self.step.map_or(Step::ALL.to_vec(), |step| vec![step]) {
            screen.doing(format!("{} of the rotation to {token}", step.name()), RESUMABLE);
            let event = json!({"SecretId": arn, "ClientRequestToken": token, "Step": step.name()});
            let (answer, took) = function.timed(&event).await?;
            let mut run = Run { step, took, refused: answer.err() };
            if let Some(refused) = run.refused.as_mut().filter(|refused| refused.is_silence()) {
                // The last line that a process wrote says why it ended.
                refused.message +=
                    &function.output().lines().last().map(|line| format!(": {line}")).unwrap_or_default();
            }
            if !screen.json {
                run.print(screen);
            }
            let failed = run.refused.is_some();
            runs.push(run);
            if failed {
                break;
            }
        }
        if self.logs {
            screen.say(function.output().trim_end());
        }
        Ok(runs)
    }

    /// Lets Secrets Manager rotate with the secret's own function, and watches the labels.
    async fn by_the_service(
        &self,
        account: &Account,
        before: &State,
        screen: &Screen,
    ) -> Result<String, Failure> {
        let arn = self.arn(before)?;
        if before.function() != Some(arn) {
            return Err(Failure::usage(
                format!("the secret is rotated by {}, not by {arn}", before.function().unwrap_or("nothing")),
                format!(
                    "attach the function: aws secretsmanager rotate-secret --secret-id {} --rotation-lambda-arn {arn}",
                    before.name
                ),
            ));
        }
        let begun = account.client.rotate_secret().secret_id(&before.arn).send().await;
        let begun = begun.map_err(|error| account.failure("RotateSecret", &before.arn, error))?;
        let token = begun.version_id.unwrap_or_default();
        screen.doing(format!("the rotation to {token}, which goes on in Secrets Manager"), RESUMABLE);
        let patience = tokio::time::Instant::now() + Duration::from_secs(self.wait);
        let mut every = tokio::time::interval(Duration::from_millis(if account.local { 100 } else { 1000 }));
        loop {
            every.tick().await;
            let state = account.state(&before.arn).await?;
            let current = state.with(CURRENT).is_some_and(|version| version.id == token);
            if (current && state.under_way().is_none()) || tokio::time::Instant::now() > patience {
                return Ok(token);
            }
        }
    }

    fn report(
        &self,
        screen: &Screen,
        before: &State,
        after: &State,
        token: &str,
        runs: &[Run],
    ) -> Result<Exit, Failure> {
        let refused = runs.iter().find_map(|run| Some((run.step, run.refused.as_ref()?)));
        let rotated = after.with(CURRENT).is_some_and(|version| version.id == token);
        let good = refused.is_none() && (rotated || self.step.is_some());
        if screen.json {
            let runs: Vec<Value> = runs.iter().map(Run::json).collect();
            screen.out_json(&json!({
                "secret": after.arn, "version": token, "succeeded": good, "rotated": rotated, "steps": runs,
                "labels_before": before.labels_json(), "labels_after": after.labels_json(),
            }));
        } else {
            screen.out("After");
            after.print_labels(screen);
        }
        if good {
            if !screen.json {
                let text =
                    if rotated { "rotated: AWSCURRENT is on the new version" } else { "the step is done" };
                screen.out(screen.paint(Paint::Good, text));
            }
            return Ok(Exit::Fine);
        }
        let failure = unfinished(token, refused);
        if screen.json {
            screen.tell(&failure);
            return Ok(Exit::Finding);
        }
        Err(failure)
    }
}

/// Why a rotation to this version has not finished.
fn unfinished(token: &str, refused: Option<(Step, &Refused)>) -> Failure {
    let Some((step, refused)) = refused else {
        return Failure::finding(
            format!("the rotation to {token} has not finished"),
            "see the function's log in CloudWatch; `turnlock explain` says where the rotation stands",
        );
    };
    let (what, hint) = refused.split();
    let hint = hint.unwrap_or(match refused.is_silence() {
        true => "--logs shows what the function wrote; check the command of --function",
        false => "`turnlock explain` says where the rotation stands; every step can run again",
    });
    Failure::finding(format!("{} failed: {what}", step.name()), hint)
}

impl Run {
    fn print(&self, screen: &Screen) {
        let result = match &self.refused {
            None => screen.paint(Paint::Good, "done"),
            Some(refused) => screen.paint(Paint::Bad, format!("failed ({})", refused.kind)),
        };
        screen.out(format!("  {:<13} {result} ({} ms)", self.step.name(), self.took.as_millis()));
    }

    fn json(&self) -> Value {
        json!({
            "step": self.step.name(), "ms": self.took.as_millis() as u64,
            "error": self.refused.as_ref().map(Refused::json),
        })
    }
}

fn step(name: &str) -> Result<Step, String> {
    let names = || Step::ALL.map(Step::name).join(", ");
    Step::ALL.into_iter().find(|step| step.name() == name).ok_or_else(|| format!("one of {}", names()))
}
