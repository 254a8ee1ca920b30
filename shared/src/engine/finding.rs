//! One line of the report that the diagnose event is answered with.

use crate::error::Error;

/// One line of the report.
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do, where something is to be done.
    pub hint: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// A rotation would fail, or clients do.
    Fail,
    /// Could not be looked at; the detail says why.
    Skipped,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Skipped => "skipped",
        }
    }
}

impl Finding {
    /// Something is as it should be.
    pub fn pass(check: &'static str, detail: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Pass, detail: detail.into(), hint: None }
    }

    /// Something is not.
    pub fn fail(check: &'static str, error: &Error) -> Finding {
        let detail = format!("{}: {}", error.kind().name(), error.story());
        Finding { check, verdict: Verdict::Fail, detail, hint: Some(error.advice().to_owned()) }
    }

    /// Something was not looked at.
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Skipped, detail: why.into(), hint: None }
    }
}
