//! The commands, one file each.

use std::sync::Arc;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::screen::Screen;

mod completions;
mod conform;
mod demo;
mod doctor;
mod explain;
mod invoke;
mod lab;
mod provider;
mod seed;
mod status;

/// The commands, in the order of the help.
#[derive(Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Lab(lab::Lab),
    Invoke(invoke::Invoke),
    Status(status::Status),
    Doctor(doctor::Doctor),
    Explain(explain::Explain),
    Repair(explain::Repair),
    Provider(provider::Provider),
    Conform(conform::Conform),
    Completions(completions::Completions),
}

impl Command {
    /// Runs the command. `line` describes the whole command line, for shells that complete it.
    pub(crate) async fn run(
        self,
        screen: &Arc<Screen>,
        line: fn() -> clap::Command,
    ) -> Result<Exit, Failure> {
        match self {
            Command::Demo(demo) => demo.run(screen).await,
            Command::Lab(lab) => lab.run(screen).await,
            Command::Invoke(invoke) => invoke.run(screen).await,
            Command::Status(status) => status.run(screen).await,
            Command::Doctor(doctor) => doctor.run(screen).await,
            Command::Explain(explain) => explain.run(screen).await,
            Command::Repair(repair) => repair.run(screen).await,
            Command::Provider(provider) => provider.run(screen).await,
            Command::Conform(conform) => conform.run(screen).await,
            Command::Completions(completions) => completions.run(screen, line()),
        }
    }
}
