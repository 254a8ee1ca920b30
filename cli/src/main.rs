//! `turnlock`: the command line for rotating secrets. It calls functions from outside, as Secrets Manager does, and has no database
//! driver.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};

use command::Command;
use failure::{Exit, Failure};
use screen::{Colour, Screen};
use stop::Stop;

mod account;
mod between;
mod command;
mod diagnose;
mod failure;
mod finding;
mod function;
mod labels;
mod name;
mod program;
mod screen;
mod signed;
mod stop;
mod story;

/// Rotate secrets without locking anyone out: inspect them, try a rotation on this machine, find out what is wrong.
#[derive(Parser)]
#[command(name = "turnlock", version, max_term_width = 100, after_help = EXITS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print the result as JSON on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    color: Colour,
}

const EXITS: &str = "Exit codes: 0 fine; 1 something is wrong, or a rotation failed; 2 wrong command line; \
                     3 could not look; 130 interrupted.";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misunderstood(&error),
    };
    let screen = Arc::new(Screen::new(arguments.json, arguments.color));
    let outcome = run(arguments.command, &screen);
    match outcome.and_then(|exit| screen.printed().map(|()| exit)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen.fail(&failure);
            failure.exit.into()
        }
    }
}

/// Prints help and version as results. Anything else is an error, with a hint like every error.
fn misunderstood(error: &clap::Error) -> ExitCode {
    // If standard output or error is closed, the failure to print cannot be reported.
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Fine.into();
    }
    let text = error.render().to_string();
    let hint = "\nhint: `turnlock help COMMAND` shows examples";
    let text = text.replace("\n\nFor more information, try '--help'.", hint);
    Screen::new(false, Colour::Auto).say(text.trim_end());
    Exit::Usage.into()
}

fn run(command: Command, screen: &Arc<Screen>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Listens before anything starts, so that every interruption gets a message.
        let mut stop = Stop::listen()?;
        // A signal drops the running command; its functions and servers end with their values.
        // `lab` listens itself, because otherwise either listener could win.
        let ends_by_itself = matches!(command, Command::Lab(_));
        tokio::select! {
            outcome = command.run(screen, Arguments::command) => outcome,
            () = stop.told(), if !ends_by_itself => Err(interrupted(screen)),
        }
    })
}

fn interrupted(screen: &Screen) -> Failure {
    let (what, hint) = match screen.done_so_far() {
        Some((doing, then)) => (format!("interrupted during {doing}"), then),
        None => ("interrupted".to_owned(), "nothing was changed"),
    };
    Failure { exit: Exit::Interrupted, what, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The lines of a page that call `turnlock`, without the prompt. A backslash at the end joins the next line.
    fn typed(page: &str) -> Vec<String> {
        let joined = page.replace("\\\n", " ");
        let lines = joined.lines().map(|line| line.trim_start().trim_start_matches("$ "));
        lines.filter(|line| line.starts_with("turnlock ")).map(str::to_owned).collect()
    }

    /// The words of a line as a shell reads it: quotes hold together.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for c in line.chars() {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                None if c == ' ' => words.push(String::new()),
                _ => words.last_mut().expect("there is a first").push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_line_on_the_pages_is_understood() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut pages = vec![top.join("README.md")];
        for folder in
            ["docs", "functions/postgres", "functions/mysql", "functions/redshift", "functions/api-key"]
        {
            pages.extend(fs::read_dir(top.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
        }
        let mut seen = 0;
        for page in pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
            for line in typed(&fs::read_to_string(page).unwrap()) {
                if let Err(error) = Arguments::try_parse_from(words(&line)) {
                    panic!("{}: {line}\n{error}", page.display());
                }
                seen += 1;
            }
        }
        assert!(seen > 12, "only {seen} command lines were seen");
    }
}
