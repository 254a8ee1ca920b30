//! The scorecard: what was tried, what came of it, and what a failure would mean to those who run the function.

use std::time::Duration;

use serde_json::{Value, json};

use super::asked::{Conform, name};
use super::bench::Bench;
use super::flaw::{Flaw, Judged};
use crate::failure::Exit;
use crate::screen::{Paint, Screen};

struct Line {
    part: &'static str,
    check: &'static str,
    /// What it means in production when this fails.
    means: &'static str,
    judged: Judged,
}

impl Line {
    /// Its verdict in a word, and the rest of what there is to say.
    fn told(&self) -> (&'static str, &str, Paint) {
        match &self.judged {
            Ok(figure) => ("pass", figure, Paint::Good),
            Err(Flaw::Fails(why)) => ("fail", why, Paint::Bad),
            Err(Flaw::Unclear(why)) => ("unclear", why, Paint::Careful),
        }
    }

    fn passed(&self) -> bool {
        self.judged.is_ok()
    }

    fn json(&self) -> Value {
        let (verdict, detail, _) = self.told();
        let means = (!self.passed()).then_some(self.means);
        json!({"part": self.part, "check": self.check, "verdict": verdict, "detail": detail, "means": means})
    }
}

/// The card, which is shown while it is filled in.
pub(super) struct Card<'a> {
    screen: &'a Screen,
    command: String,
    /// Only checks whose name has this in it.
    only: String,
    part: &'static str,
    lines: Vec<Line>,
    /// What is measured and not judged.
    figures: Vec<(&'static str, String)>,
}

impl<'a> Card<'a> {
    pub(super) fn new(screen: &'a Screen, asked: &Conform) -> Card<'a> {
        let (command, only) = (asked.command.join(" "), asked.only.clone());
        Card { screen, command, only, part: "", lines: Vec::new(), figures: Vec::new() }
    }

    /// What is tried next.
    pub(super) fn part(&mut self, part: &'static str) {
        self.part = part;
    }

    /// Whether a check was asked for.
    pub(super) fn wants(&self, check: &str) -> bool {
        check.contains(&self.only)
    }

    /// Tries one thing. `means` is what a failure would mean in production.
    pub(super) async fn check(
        &mut self,
        check: &'static str,
        means: &'static str,
        judged: impl Future<Output = Judged>,
    ) {
        if !self.wants(check) {
            return;
        }
        let first = self.lines.last().is_none_or(|line| line.part != self.part);
        if first && !self.screen.json {
            self.screen.out(format!("\n{}", self.screen.paint(Paint::Strong, self.part)));
        }
        self.screen.progress(&format!("{check} ..."));
        let line = Line { part: self.part, check, means, judged: judged.await };
        if !self.screen.json {
            self.show(&line);
        }
        self.lines.push(line);
    }

    /// Notes a figure, which no verdict hangs on.
    pub(super) fn figure(&mut self, what: &'static str, figure: String) {
        if !self.screen.json {
            self.screen.out(format!("        {what}: {figure}"));
        }
        self.figures.push((what, figure));
    }

    fn show(&self, line: &Line) {
        let (verdict, detail, paint) = line.told();
        let verdict = self.screen.paint(paint, format!("{verdict:<7}"));
        let dash = if detail.is_empty() || !line.passed() { "" } else { ": " };
        let figure = if line.passed() { detail } else { "" };
        self.screen.out(format!("{verdict} {}{dash}{figure}", line.check));
        if !line.passed() {
            // Functions answer with whole pages at times.
            let brief: String = detail.lines().next().unwrap_or_default().chars().take(300).collect();
            self.screen.out(format!("          {brief}"));
            self.screen.out(format!(
                "          {} {}",
                self.screen.paint(Paint::Careful, "means:"),
                line.means
            ));
        }
    }

    /// Prints the score, or all of it as JSON.
    pub(super) fn end(self, bench: &Bench, took: Duration) -> Exit {
        let passed = self.lines.iter().filter(|line| line.passed()).count();
        let (all, full) = (self.lines.len(), passed == self.lines.len());
        if self.screen.json {
            let figures = self.figures.iter().map(|(what, figure)| ((*what).to_owned(), json!(figure)));
            self.screen.out_json(&json!({
                "command": self.command, "engine": name(bench.engine), "strategy": name(bench.strategy),
                "server": bench.server.to_string(), "seed": bench.seed, "passed": passed, "checks": all,
                "ms": took.as_millis() as u64, "figures": Value::Object(figures.collect()),
                "lines": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
            }));
        } else {
            let score = format!("{passed} of {all}");
            let paint = if full { Paint::Good } else { Paint::Bad };
            let (strategy, seconds) = (name(bench.strategy), took.as_secs_f64());
            self.screen.out(format!(
                "\n{} for {} on {} ({strategy}, {seconds:.0} s, --seed {})",
                self.screen.paint(paint, score),
                self.command,
                bench.server,
                bench.seed,
            ));
        }
        if full { Exit::Fine } else { Exit::Finding }
    }
}
