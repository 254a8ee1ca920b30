//! Whether the program that a function's command names can be found, before anything is asked of the function.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::failure::Failure;

/// The hint. A function gets a PATH of its own, which surprises people whose shell finds the program.
const WHERE: &str = "write the program's whole path, or put it beside turnlock, in /usr/local/bin, /usr/bin or /bin; \
                     the PATH of this terminal does not count";

/// Fails if the command names a program that is not there. `path` is the PATH that the function will have.
///
/// A command that only a shell understands is left to the shell.
pub(crate) fn look_for(command: &str, path: &str) -> Result<(), Failure> {
    match named(command) {
        Some(program) if !is_there(program, path) => {
            Err(Failure::usage(format!("there is no program {program} (the command is: {command})"), WHERE))
        }
        _ => Ok(()),
    }
}

/// The program of a command, also behind `env`; none if that is not clear from words alone.
fn named(command: &str) -> Option<&str> {
    let mut words = command.split_whitespace();
    let first = words.next().filter(|word| is_plain(word))?;
    if first != "env" {
        return Some(first);
    }
    let mut words = words.filter(|word| !is_assignment(word));
    // The options of env change where it looks.
    words.next().filter(|word| is_plain(word) && !word.starts_with('-') && !command.contains("PATH="))
}

fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || "_-./+:@".contains(c))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn is_there(program: &str, path: &str) -> bool {
    if program.contains('/') {
        return can_run(Path::new(program));
    }
    path.split(':').any(|folder| can_run(&Path::new(folder).join(program)))
}

fn can_run(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::{look_for, named};

    #[test]
    fn the_program_is_the_first_word_or_what_env_starts() {
        assert_eq!(named("rotate-postgres --flag"), Some("rotate-postgres"));
        assert_eq!(named("env A=1 B_2='x' ./rotate-postgres"), Some("./rotate-postgres"));
        for unclear in
            ["'my program'", "$HOME/x", "A=1 x", "env -C /tmp x", "env PATH=/x y", "(x)", "~/x", ""]
        {
            assert_eq!(named(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn a_missing_function_or_a_failing_start_is_named_with_its_command() {
        assert!(look_for("sh -c true", "/usr/bin:/bin").is_ok());
        assert!(look_for("/bin/sh", "").is_ok());
        for missing in ["no-such-program", "/etc/passwd", "/bin", "env A=1 no-such-program"] {
            let failure = look_for(missing, "/usr/bin:/bin").expect_err(missing);
            assert!(failure.what.ends_with(&format!("(the command is: {missing})")), "{}", failure.what);
        }
    }
}
