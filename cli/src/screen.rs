//! Prints results on standard output and everything else on standard error, with colours only on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::failure::Failure;

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is true after a rotation was interrupted.
pub(crate) const RESUMABLE: &str =
    "nothing is lost: every step can run again; `turnlock explain SECRET_ID` shows where the rotation stands";

/// A meaning with a colour. The text must say the same without it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    Good,
    Bad,
    Careful,
    Faint,
    Strong,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Careful => "33",
            Paint::Faint => "2",
            Paint::Strong => "1",
        }
    }
}

/// Prints everything.
pub(crate) struct Screen {
    pub(crate) json: bool,
    colour: bool,
    /// Whether progress lines may overwrite each other, because standard error is a terminal.
    pub(crate) live: bool,
    /// What ctrl-C would interrupt now, and what is true afterwards.
    doing: Mutex<Option<(String, &'static str)>>,
    /// Why a result could not be printed.
    unwritten: Mutex<Option<io::Error>>,
}

impl Screen {
    pub(crate) fn new(json: bool, colour: Colour) -> Screen {
        let terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = match colour {
            Colour::Auto => terminal && wanted,
            Colour::Always => true,
            Colour::Never => false,
        };
        let live = io::stderr().is_terminal() && !json;
        Screen { json, colour, live, doing: Mutex::default(), unwritten: Mutex::default() }
    }

    /// A line of the result.
    pub(crate) fn out(&self, line: impl AsRef<str>) {
        self.progress("");
        match writeln!(io::stdout().lock(), "{}", line.as_ref()) {
            // The reader of a pipe may stop reading; that is no failure of the command.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            _ => {}
        }
    }

    /// Fails if a result could not be printed, as on a full disk.
    pub(crate) fn printed(&self) -> Result<(), Failure> {
        match self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(error) => Err(Failure::blind(
                format!("the result could not be written: {error}"),
                "the work itself is done; free some space, or send standard output elsewhere",
            )),
        }
    }

    /// The result as JSON, whole.
    pub(crate) fn out_json(&self, value: &Value) {
        self.out(format!("{value:#}"));
    }

    /// A line beside the result.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
    }

    /// Prints a line that the next one overwrites, on a terminal only.
    pub(crate) fn progress(&self, line: &str) {
        if self.live {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K{line}");
            let _ = io::stderr().flush();
        }
    }

    /// Colours a text, if colours are on.
    pub(crate) fn paint(&self, paint: Paint, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
    }

    /// Notes what ctrl-C would interrupt from now on, and what is true afterwards.
    pub(crate) fn doing(&self, what: impl Into<String>, then: &'static str) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = Some((what.into(), then));
    }

    /// What an interruption would interrupt now, and what is true afterwards.
    pub(crate) fn done_so_far(&self) -> Option<(String, &'static str)> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the command stopped.
    pub(crate) fn fail(&self, failure: &Failure) {
        if self.json {
            self.out_json(&json!({"error": failure.what, "hint": failure.hint}));
        }
        self.tell(failure);
    }

    /// Prints a failure on standard error alone, because the result has been printed already.
    pub(crate) fn tell(&self, failure: &Failure) {
        self.progress("");
        self.say(format!("{}: {}", self.paint(Paint::Bad, "error"), failure.what));
        self.say(format!("{}: {}", self.paint(Paint::Careful, "hint"), failure.hint));
    }
}
