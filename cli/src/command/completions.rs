//! `turnlock completions`: prints shell completions.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{Exit, Failure};
use crate::screen::Screen;

/// Print completions for a shell: turnlock completions bash > /etc/bash_completion.d/turnlock
#[derive(Args)]
pub(crate) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, screen: &Screen, mut line: Command) -> Result<Exit, Failure> {
        // Writes into memory first, because clap_complete panics if a pipe is closed early.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut line, "turnlock", &mut text);
        screen.out(String::from_utf8_lossy(&text).trim_end());
        Ok(Exit::Fine)
    }
}
