//! `turnlock provider check`: asks the API-key function whether it can use a provider file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::account::{Account, Place};
use crate::diagnose;
use crate::failure::{Exit, Failure};
use crate::finding;
use crate::function::Function;
use crate::screen::Screen;

/// Descriptions of services that issue API keys.
#[derive(Args)]
pub(crate) struct Provider {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Check(Check),
}

/// Check a provider file, and name the wrong line. Calls no service.
#[derive(Args)]
struct Check {
    /// The file.
    file: PathBuf,
    /// The API-key function: a command to start here, or the ARN of a deployed one.
    #[arg(long, value_name = "COMMAND_OR_ARN", default_value = "rotate-api-key")]
    function: String,
    #[command(flatten)]
    place: Place,
}

impl Provider {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let What::Check(check) = self.what;
        let text = std::fs::read_to_string(&check.file).map_err(|error| {
            Failure::usage(format!("{}: {error}", check.file.display()), "name a provider file, in TOML")
        })?;
        let function = if check.function.starts_with("arn:") {
            Function::deployed(&Account::open(&check.place).await?, &check.function).await?
        } else {
            Function::start("local", &check.function, &[("ALLOW_DIAGNOSE", "true")]).await?
        };
        let report = diagnose::ask(&function, &json!({"Step": "diagnose", "Provider": text})).await?;
        Ok(finding::report(screen, json!({"file": check.file}), &report.findings))
    }
}
