//! The scorecard: what was tried, what came of it, and what a failure would mean to those who run the function.

use std::time::Duration;

use serde_json::{Value, json};

use super::asked::{Conform, name};
use super::check::Check;
use super::flaw::{Flaw, Judged};
use crate::failure::Exit;
use crate::screen::{Paint, Screen};

/// What came of a check.
pub(super) struct Line {
    pub(super) part: &'static str,
    pub(super) check: &'static str,
    /// In which of the runs.
    pub(super) run: u32,
    /// What it means in production when this fails.
    pub(super) means: &'static str,
    pub(super) judged: Judged,
    pub(super) took: Duration,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Fail,
    CouldNotTell,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::CouldNotTell => "could not tell",
        }
    }

    /// As it stands at the beginning of a line.
    fn mark(self) -> (&'static str, Paint) {
        match self {
            Verdict::Pass => ("pass", Paint::Good),
            Verdict::Fail => ("fail", Paint::Bad),
            Verdict::CouldNotTell => ("?", Paint::Careful),
        }
    }
}

impl Line {
    /// Its verdict, and the rest of what there is to say.
    pub(super) fn told(&self) -> (Verdict, &str) {
        match &self.judged {
            Ok(figure) => (Verdict::Pass, figure),
            Err(Flaw::Fails(why)) => (Verdict::Fail, why),
            Err(Flaw::Stuck(why) | Flaw::Unclear(why)) => (Verdict::CouldNotTell, why),
        }
    }

    fn json(&self) -> Value {
        let (verdict, detail) = self.told();
        let means = (verdict == Verdict::Fail).then_some(self.means);
        json!({
            "part": self.part, "check": self.check, "run": self.run, "verdict": verdict.word(), "detail": detail,
            "means": means,
        })
    }
}

/// The card, which is shown while it is filled in.
pub(super) struct Card<'a> {
    screen: &'a Screen,
    pub(super) command: String,
    pub(super) engine: String,
    pub(super) strategy: String,
    pub(super) server: String,
    pub(super) seed: u64,
    runs: u32,
    run: u32,
    pub(super) lines: Vec<Line>,
    /// What is measured and not judged.
    figures: Vec<(&'static str, String)>,
}

impl<'a> Card<'a> {
    pub(super) fn new(screen: &'a Screen, asked: &Conform, server: String, seed: u64) -> Card<'a> {
        let (command, runs) = (asked.command.join(" "), asked.repeat);
        let (engine, strategy) = (name(asked.engine), name(asked.strategy));
        Card { screen, command, engine, strategy, server, seed, runs, run: 0, lines: vec![], figures: vec![] }
    }

    /// Begins a run.
    pub(super) fn run(&mut self, run: u32, seed: u64) {
        self.run = run;
        if self.runs > 1 {
            let of = format!("\nrun {run} of {} (--seed {seed})", self.runs);
            self.say(self.screen.paint(Paint::Strong, of));
        }
    }

    /// What is tried next.
    pub(super) fn begins(&self, check: &Check) {
        let last = self.lines.last();
        if last.is_none_or(|line| (line.part, line.run) != (check.part, self.run)) {
            self.say(format!("\n{}", self.screen.paint(Paint::Strong, check.part)));
        }
        self.screen.progress(&format!("{} ...", check.name));
    }

    /// What came of it.
    pub(super) fn judge(&mut self, check: &Check, judged: Judged, took: Duration) {
        let Check { part, name: check, means, .. } = *check;
        let line = Line { part, check, run: self.run, means, judged, took };
        self.show(&line);
        self.lines.push(line);
    }

    /// Notes figures, which no verdict hangs on.
    pub(super) fn measured(&mut self, figures: Vec<(&'static str, String)>) {
        self.say(format!("\n{}", self.screen.paint(Paint::Strong, "measured")));
        for (what, figure) in &figures {
            self.say(format!("        {what}: {figure}"));
        }
        self.figures = figures;
    }

    fn say(&self, line: impl AsRef<str>) {
        if !self.screen.json {
            self.screen.out(line);
        }
    }

    fn show(&self, line: &Line) {
        let (verdict, detail) = line.told();
        let (mark, paint) = verdict.mark();
        let mark = self.screen.paint(paint, format!("{mark:<7}"));
        let dash = if detail.is_empty() || verdict != Verdict::Pass { "" } else { ": " };
        let figure = if verdict == Verdict::Pass { detail } else { "" };
        self.say(format!("{mark} {}{dash}{figure}", line.check));
        // Functions answer with whole pages at times.
        let brief: String = detail.lines().next().unwrap_or_default().chars().take(300).collect();
        let careful = |word| self.screen.paint(Paint::Careful, word);
        match verdict {
            Verdict::Pass => {}
            Verdict::Fail => {
                self.say(format!("          {brief}"));
                self.say(format!("          {} {}", careful("means:"), line.means));
            }
            Verdict::CouldNotTell => self.say(format!("          {} {brief}", careful("could not tell:"))),
        }
    }

    /// How many lines have this verdict.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.told().0 == verdict).count()
    }

    /// Prints the score, or all of it as JSON.
    pub(super) fn end(self, took: Duration) -> Exit {
        match self.screen.json {
            true => self.screen.out_json(&self.json(took)),
            false => self.score(took),
        }
        match (self.count(Verdict::Fail), self.count(Verdict::Pass)) {
            (0, 0) => Exit::Blind,
            (0, _) => Exit::Fine,
            _ => Exit::Finding,
        }
    }

    fn score(&self, took: Duration) {
        let failed = self.count(Verdict::Fail);
        let (passed, unclear) = (self.count(Verdict::Pass), self.count(Verdict::CouldNotTell));
        let paint = match (failed, unclear) {
            (0, 0) => Paint::Good,
            (0, _) => Paint::Careful,
            _ => Paint::Bad,
        };
        let score = self.screen.paint(paint, format!("{passed} of {}", self.lines.len()));
        let unclear = if unclear == 0 { String::new() } else { format!(" ({unclear} could not tell)") };
        let Card { command, server, strategy, seed, .. } = self;
        let seconds = took.as_secs_f64();
        self.say(format!(
            "\n{score}{unclear} for {command} on {server} ({strategy}, {seconds:.0} s, --seed {seed})"
        ));
    }

    fn json(&self, took: Duration) -> Value {
        let figures = self.figures.iter().map(|(what, figure)| ((*what).to_owned(), json!(figure)));
        json!({
            "command": self.command, "engine": self.engine, "strategy": self.strategy,
            "server": self.server, "seed": self.seed, "runs": self.runs, "checks": self.lines.len(),
            "passed": self.count(Verdict::Pass), "failed": self.count(Verdict::Fail),
            "could_not_tell": self.count(Verdict::CouldNotTell),
            "ms": took.as_millis() as u64, "figures": Value::Object(figures.collect()),
            "lines": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
        })
    }
}
