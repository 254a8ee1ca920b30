//! The result of a check, in the form of the diagnose event, so that one list holds checks made here and checks made by a function.

use serde_json::{Value, json};

use crate::failure::Exit;
use crate::screen::{Paint, Screen};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Pass,
    /// A rotation would fail, or clients fail now.
    Fail,
    /// The check was not made; the detail says why.
    Skipped,
}

/// One check.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) check: String,
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
    pub(crate) hint: Option<String>,
}

impl Finding {
    pub(crate) fn pass(check: &str, detail: impl Into<String>) -> Finding {
        Finding { check: check.to_owned(), verdict: Verdict::Pass, detail: detail.into(), hint: None }
    }

    pub(crate) fn fail(check: &str, detail: impl Into<String>, hint: impl Into<String>) -> Finding {
        let hint = Some(hint.into());
        Finding { check: check.to_owned(), verdict: Verdict::Fail, detail: detail.into(), hint }
    }

    pub(crate) fn skipped(check: &str, why: impl Into<String>, hint: Option<&str>) -> Finding {
        let hint = hint.map(str::to_owned);
        Finding { check: check.to_owned(), verdict: Verdict::Skipped, detail: why.into(), hint }
    }

    /// A line of a function's report.
    pub(crate) fn of(line: &Value) -> Finding {
        let word = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let verdict = match line["Verdict"].as_str() {
            Some("pass") => Verdict::Pass,
            Some("skipped") => Verdict::Skipped,
            // An unknown verdict counts as a failure, to be on the safe side.
            _ => Verdict::Fail,
        };
        let hint = line["Hint"].as_str().map(str::to_owned);
        Finding { check: word("Check"), verdict, detail: word("Detail"), hint }
    }

    pub(crate) fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Skipped => "skipped",
        };
        json!({"check": self.check, "verdict": verdict, "detail": self.detail, "hint": self.hint})
    }

    pub(crate) fn print(&self, screen: &Screen) {
        let (word, paint) = match self.verdict {
            Verdict::Pass => ("pass", Paint::Good),
            Verdict::Fail => ("fail", Paint::Bad),
            Verdict::Skipped => ("-", Paint::Faint),
        };
        let word = screen.paint(paint, format!("{word:<5}"));
        screen.out(format!("{word} {:<15} {}", self.check, self.detail));
        if let Some(hint) = &self.hint {
            screen.out(format!("{:<21} {} {hint}", "", screen.paint(Paint::Careful, "hint:")));
        }
    }
}

/// Prints a list of checks, or JSON, and returns the exit code for the worst check.
pub(crate) fn report(screen: &Screen, head: Value, findings: &[Finding]) -> Exit {
    let failed = findings.iter().filter(|it| it.verdict == Verdict::Fail).count();
    if screen.json {
        let mut report = head;
        report["checks"] = findings.iter().map(Finding::json).collect();
        report["failed"] = json!(failed);
        screen.out_json(&report);
    } else {
        for finding in findings {
            finding.print(screen);
        }
        let passed = findings.iter().filter(|it| it.verdict == Verdict::Pass).count();
        let summary =
            format!("{passed} passed, {failed} failed, {} not looked at", findings.len() - passed - failed);
        let paint = if failed == 0 { Paint::Good } else { Paint::Bad };
        screen.out(screen.paint(paint, summary));
    }
    if failed == 0 { Exit::Fine } else { Exit::Finding }
}
