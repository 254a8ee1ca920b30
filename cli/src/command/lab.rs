//! `turnlock lab`: runs the local Secrets Manager in the foreground.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use lab::rotation::{Event, EventKind, Invoke, InvokeError};
use lab::runtime::RunningFunction;
use lab::secrets::{Call, Fault, Outcome, StateFile, StateKey, faults_from_toml};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::seed;
use crate::failure::{Exit, Failure};
use crate::function;
use crate::name::name_of;
use crate::screen::{Paint, Screen};
use crate::stop::Stop;

/// Run a Secrets Manager on this machine, with rotation functions attached.
///
/// It keeps the rules that rotation rests on, so an application, the AWS CLI or an SDK cannot tell it from the service.
/// Secrets live in memory and end with it, unless --state keeps them.
#[derive(Args)]
#[command(
    after_help = "Example:\n  turnlock lab --function postgres=rotate-postgres --seed secrets.toml\n\n\
    A function's command is split into words as in a shell; pass settings with env:\n  \
    --function 'pg=env PASSWORD_LENGTH=40 rotate-postgres'"
)]
pub(crate) struct Lab {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 4599)]
    port: u16,
    /// Secrets to start with (docs/cli.md has an example).
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Keep the secrets in this file, encrypted. The key is in FILE.key, which is created if absent, or comes from the
    /// passphrase in TURNLOCK_LAB_PASSPHRASE.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Make calls fail as this file says (docs/cli.md has an example).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Attach a rotation function; its ARN ends in NAME.
    #[arg(long = "function", value_name = "NAME=COMMAND", value_parser = named)]
    functions: Vec<(String, String)>,
    /// How long each call takes, in milliseconds, as if the Region were far away.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Show reads too, not only calls that change something.
    #[arg(long)]
    calls: bool,
    /// Show what the functions write.
    #[arg(long)]
    logs: bool,
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && !command.trim().is_empty() => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => Err("write it as NAME=COMMAND".to_owned()),
    }
}

impl Lab {
    pub(crate) async fn run(self, screen: &Arc<Screen>) -> Result<Exit, Failure> {
        let mut stop = Stop::listen()?;
        let seeds = self.seed.as_deref().map(seed::read).transpose()?.unwrap_or_default();
        let options = lab::Options {
            port: self.port,
            latency: Duration::from_millis(self.latency),
            state: self.state.clone().map(state_file),
            ..Default::default()
        };
        let faults = self.faults.as_deref().map(faults).transpose()?.unwrap_or_default();
        let lab = lab::Lab::start(options).await.map_err(|error| self.not_started(&error))?;
        let events = lab.follow(); // before the seeds, so that their tests are printed too
        let mut arns = Vec::new();
        for (name, command) in &self.functions {
            arns.push(self.attach(&lab, name, command, screen).await?);
        }
        for seed in &seeds {
            seed.plant(&lab)?;
        }
        lab.faults().set(faults);
        welcome(&lab, &arns, seeds.len(), screen);
        tell_calls(&lab, self.calls, screen);
        tokio::select! {
            () = follow(events, screen) => {}
            () = stop.told() => {}
        }
        screen.say(match &self.state {
            Some(file) => format!("the lab has ended; its secrets are in {}", file.display()),
            None => "the lab has ended, and its secrets with it".to_owned(),
        });
        Ok(Exit::Fine)
    }

    fn not_started(&self, error: &std::io::Error) -> Failure {
        match (&self.state, error.kind()) {
            (_, std::io::ErrorKind::AddrInUse) => Failure::blind(
                format!("port {} is taken", self.port),
                "another lab may run already; choose another --port, 0 takes a free one",
            ),
            (Some(file), kind) => Failure::blind(
                format!("{}: {error}", file.display()),
                match kind {
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                        "name a file in an existing folder that you may write to"
                    }
                    _ => "the file opens with the key or passphrase that made it, and for one lab at a time",
                },
            ),
            (None, _) => Failure::blind(format!("the lab cannot start: {error}"), "choose another --port"),
        }
    }

    async fn attach(
        &self,
        lab: &lab::Lab,
        name: &str,
        command: &str,
        screen: &Arc<Screen>,
    ) -> Result<String, Failure> {
        let function = function::process(name, command)?.env("SECRETS_MANAGER_ENDPOINT", lab.endpoint());
        let function = function.start().await.map_err(function::not_started)?;
        let screen = Arc::clone(screen);
        let watched = Watched { name: name.to_owned(), function, screen, logs: self.logs };
        Ok(lab.attach(name, Arc::new(watched)))
    }
}

fn state_file(path: PathBuf) -> StateFile {
    let key = match std::env::var("TURNLOCK_LAB_PASSPHRASE") {
        Ok(passphrase) => StateKey::Passphrase(passphrase),
        Err(_) => {
            let mut file = path.clone().into_os_string();
            file.push(".key");
            StateKey::File(file.into())
        }
    };
    StateFile { path, key }
}

fn faults(path: &Path) -> Result<Vec<Fault>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    text.and_then(|text| faults_from_toml(&text)).map_err(|error| {
        let what = format!("{}: {}", path.display(), error.trim_end());
        Failure::usage(what, "docs/cli.md has an example of a file of faults")
    })
}

/// Prints how to use the lab.
fn welcome(lab: &lab::Lab, arns: &[String], seeds: usize, screen: &Screen) {
    if screen.json {
        let line = json!({"endpoint": lab.endpoint(), "functions": arns, "secrets": seeds});
        return screen.out(line.to_string());
    }
    screen.say(format!("listening on {}", lab.endpoint()));
    screen.say("\nFor the AWS CLI and every SDK:\n");
    screen.say(format!("  export AWS_ENDPOINT_URL_SECRETS_MANAGER={}", lab.endpoint()));
    screen.say("  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=lab AWS_SECRET_ACCESS_KEY=lab\n");
    for arn in arns {
        screen.say(format!("function {arn}"));
    }
    if let Some(arn) = arns.first() {
        screen.say(format!(
            "\n  aws secretsmanager rotate-secret --secret-id NAME --rotation-lambda-arn {arn}\n"
        ));
    }
    screen.say(format!("{seeds} secrets to start with; ctrl-C ends the lab"));
}

/// Prints a line for each call that ends.
fn tell_calls(lab: &lab::Lab, all: bool, screen: &Arc<Screen>) {
    let screen = Arc::clone(screen);
    lab.on_call(move |call| {
        // Every rotation asks for its own empty version by id and gets ResourceNotFoundException, which is no surprise.
        let surprising = matches!(call.outcome, Outcome::Refused(_)) && call.version.is_none();
        if all || changes(&call.operation) || surprising {
            tell_call(&screen, &call);
        }
        std::future::ready(())
    });
}

fn changes(operation: &str) -> bool {
    !["Get", "BatchGet", "Describe", "List", "Validate"].iter().any(|read| operation.starts_with(read))
}

fn tell_call(screen: &Screen, call: &Call) {
    let secret = call.secret.as_deref().map(name_of).unwrap_or_default();
    let (outcome, paint) = match &call.outcome {
        Outcome::Done => ("done", Paint::Good),
        Outcome::Refused(kind) => (kind.as_str(), Paint::Bad),
        Outcome::Unanswered => ("unanswered", Paint::Bad),
    };
    if screen.json {
        let line = json!({
            "call": call.operation, "secret": secret, "version": call.version, "stage": call.stage,
            "outcome": outcome, "ms": call.duration.as_millis() as u64,
        });
        return screen.out(line.to_string());
    }
    let words = [call.operation.as_str(), secret, call.stage.as_deref().unwrap_or_default()];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    screen.out(format!("{}: {}", words.join(" "), screen.paint(paint, outcome)));
}

/// Prints when rotations begin and end, for as long as the lab runs.
async fn follow(mut events: Receiver<Event>, screen: &Screen) {
    loop {
        match events.recv().await {
            Ok(event) => tell_event(&event, screen),
            Err(RecvError::Lagged(missed)) => screen.say(format!("{missed} events were not shown")),
            Err(RecvError::Closed) => return,
        }
    }
}

fn tell_event(event: &Event, screen: &Screen) {
    let (what, paint) = match event.kind {
        // The call that began the rotation has been printed.
        EventKind::RotationStarted if !screen.json => return,
        EventKind::RotationStarted => ("rotation began", Paint::Faint),
        EventKind::RotationSucceeded => ("rotation succeeded", Paint::Good),
        EventKind::RotationFailed => ("rotation given up: AWSPENDING stays", Paint::Bad),
        EventKind::RotationAbandoned => ("rotation cancelled", Paint::Careful),
        EventKind::TestRotationStarted => ("test of the configuration began", Paint::Faint),
        EventKind::TestRotationSucceeded => ("test of the configuration succeeded", Paint::Good),
        EventKind::TestRotationFailed => ("test of the configuration failed", Paint::Bad),
    };
    if screen.json {
        let line =
            json!({"event": format!("{:?}", event.kind), "secret": event.secret, "version": event.token});
        screen.out(line.to_string());
    } else {
        screen.out(format!("{}: {}", name_of(&event.secret), screen.paint(paint, what)));
    }
}

/// A function whose steps are printed.
struct Watched {
    name: String,
    function: RunningFunction,
    screen: Arc<Screen>,
    logs: bool,
}

impl Invoke for Watched {
    fn invoke(&self, event: Value) -> Pin<Box<dyn Future<Output = Result<Value, InvokeError>> + Send + '_>> {
        Box::pin(async move {
            let step = event["Step"].as_str().unwrap_or_default().to_owned();
            let (began, before) = (Instant::now(), self.logs.then(|| self.function.output().len()));
            let answer = Invoke::invoke(&self.function, event).await;
            if let Some(before) = before {
                let output = self.function.output();
                self.screen.say(String::from_utf8_lossy(&output[before.min(output.len())..]).trim_end());
            }
            self.tell(&step, began.elapsed(), answer.as_ref().err());
            answer
        })
    }
}

impl Watched {
    fn tell(&self, step: &str, took: Duration, error: Option<&InvokeError>) {
        let ms = took.as_millis() as u64;
        if self.screen.json {
            let line = json!({
                "function": self.name, "step": step, "ms": ms, "error": error.map(ToString::to_string),
            });
            return self.screen.out(line.to_string());
        }
        let result = match error {
            None => self.screen.paint(Paint::Good, "done"),
            Some(error) => self.screen.paint(Paint::Bad, error.to_string()),
        };
        self.screen.out(format!("{} {step}: {result} ({ms} ms)", self.name));
    }
}
