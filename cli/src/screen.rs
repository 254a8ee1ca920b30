//! What a person sees: results on standard output, everything else on standard error, colours only on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::failure::Failure;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What holds when a rotation is cut short.
pub(crate) const RESUMABLE: &str =
    "nothing is lost: every step can be run again; `turnlock explain SECRET_ID` shows where it stands";

/// A meaning that has a colour; the text must say it too.
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

/// Where everything is printed.
pub(crate) struct Screen {
    pub(crate) json: bool,
    colour: bool,
    /// Whether a line may be written over: a person looks on.
    pub(crate) live: bool,
    /// What would be cut short by ctrl-C right now, and what holds then.
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
            // Whoever reads a pipe may stop reading; the work is done all the same.
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
                "the work is done all the same; make room, or send standard output elsewhere",
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

    /// A line that the next one is written over; only where a person looks on.
    pub(crate) fn progress(&self, line: &str) {
        if self.live {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K{line}");
            let _ = io::stderr().flush();
        }
    }

    /// Colours a text, where there are colours.
    pub(crate) fn paint(&self, paint: Paint, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
    }

    /// Notes what ctrl-C would cut short, and what holds then.
    pub(crate) fn doing(&self, what: impl Into<String>, then: &'static str) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = Some((what.into(), then));
    }

    /// What is being done, and what holds if it is cut short.
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

    /// The same where the result has been printed, error and all.
    pub(crate) fn tell(&self, failure: &Failure) {
        self.progress("");
        self.say(format!("{}: {}", self.paint(Paint::Bad, "error"), failure.what));
        self.say(format!("{}: {}", self.paint(Paint::Careful, "hint"), failure.hint));
    }
}
