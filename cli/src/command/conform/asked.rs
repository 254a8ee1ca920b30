//! The command line of `turnlock conform`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use lab::proxy::Protocol;

/// Put a rotation function through everything that can happen to it, and score it.
///
/// Starts a database, a Secrets Manager and the function, which may be in any language: the command has to speak the Lambda
/// runtime API, as every Lambda runtime does. docs/conform.md says what is tried, and how AWS's own functions are run.
#[derive(Args)]
#[command(after_help = "Example:\n  turnlock conform --engine postgres -- rotate-postgres\n\n\
    Settings are given with env:\n  turnlock conform --engine mysql -- env PASSWORD_LENGTH=40 rotate-mysql")]
pub(crate) struct Conform {
    /// The database that the function rotates.
    #[arg(long, value_enum)]
    pub(super) engine: Engine,
    /// What the secret asks for: one user, or two that take turns and an admin.
    #[arg(long, value_enum, default_value_t = Strategy::SingleUser)]
    pub(super) strategy: Strategy,
    /// Cut the rotation everywhere, not only at some places.
    #[arg(long)]
    pub(super) all: bool,
    /// The places to cut at, if not all: the same number, the same places. Each further run takes the next number.
    #[arg(long, value_name = "NUMBER")]
    pub(super) seed: Option<u64>,
    /// Only the check of this name; can be given more than once.
    #[arg(long, value_name = "NAME")]
    pub(super) check: Vec<String>,
    /// Only the checks with this text in their names.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) only: String,
    /// List the names of the checks, and try nothing.
    #[arg(long)]
    pub(super) list: bool,
    /// Try everything so many times.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeat: u32,
    /// Also write the result into this file, as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// A file that the function takes its authorities from: it is made with the test's own, and removed at the end.
    /// SSL_CERT_FILE names it, and the secret's "sslrootcert" holds the same.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// How long a step may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(super) timeout: u64,
    /// The function: a program that speaks the Lambda runtime API, and its arguments.
    #[arg(last = true, required_unless_present = "list")]
    pub(super) command: Vec<String>,
}

/// A database that can be started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Postgres,
    Mysql,
    Mariadb,
    /// A stand-in: there is no Redshift outside AWS.
    Redshift,
}

impl Engine {
    /// What is spoken with this database.
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Engine::Postgres | Engine::Redshift => Protocol::Postgres,
            Engine::Mysql | Engine::Mariadb => Protocol::MySql,
        }
    }
}

impl Engine {
    /// Whether an account of this engine can have this password at all.
    pub(super) fn may_have(self, password: &str) -> bool {
        // "ASCII characters with codes 33-126, except ' \" \\ / or @" (Redshift, CREATE USER).
        let allowed = |it: char| it.is_ascii_graphic() && !"'\"\\/@".contains(it);
        self != Engine::Redshift || password.chars().all(allowed)
    }
}

/// How the secret is to be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    SingleUser,
    AlternatingUsers,
}

/// The name of a value of the command line.
pub(crate) fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default()
}

/// Shared by what runs in the background.
pub(super) type Shared<T> = Arc<T>;
