//! The one error type. It says who must act, what happened, why, and what to do. It holds only text, never a driver's value, so
//! that `scrub` can mask all of it before it leaves the process.

use std::fmt;

use crate::said::{Said, cut};
use crate::secret::Scrub;

/// The kind of an error, which decides who must act. Lambda reports its name as `errorType`; alarms and runbooks use the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Secrets Manager does not send such an event.
    BadEvent,
    /// The secret's labels do not allow this step.
    NotRotatable,
    /// The secret's value lacks something or contradicts itself.
    BadSecret,
    /// No password can satisfy the policy, or the policy is too weak.
    BadPolicy,
    /// IAM, KMS or a resource policy refused a call.
    AccessDenied,
    /// AWS, or a service that issues keys, kept asking for fewer calls until the deadline.
    Throttled,
    /// Name resolution, TCP or TLS failed, or the server was silent. Without an answer nothing is known about any password.
    Unreachable,
    /// The server refused a password that had to work.
    CredentialRejected,
    /// No version of the secret logs in.
    LockedOut,
    /// The account or server is not proven to belong to this secret.
    NotOurs,
    /// The server refused something other than the password, such as a statement.
    ServerRefused,
    /// Another process changed the same secret or account at the same time.
    Conflict,
    /// A mistake in this program.
    Bug,
}

impl Kind {
    /// The name, as it appears in `errorType`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::BadEvent => "BadEvent",
            Kind::NotRotatable => "NotRotatable",
            Kind::BadSecret => "BadSecret",
            Kind::BadPolicy => "BadPolicy",
            Kind::AccessDenied => "AccessDenied",
            Kind::Throttled => "Throttled",
            Kind::Unreachable => "Unreachable",
            Kind::CredentialRejected => "CredentialRejected",
            Kind::LockedOut => "LockedOut",
            Kind::NotOurs => "NotOurs",
            Kind::ServerRefused => "ServerRefused",
            Kind::Conflict => "Conflict",
            Kind::Bug => "Bug",
        }
    }

    /// What to do, for errors that do not say it themselves.
    fn remedy(self) -> &'static str {
        match self {
            Kind::BadEvent => {
                "attach this function to a secret as its rotation function and let Secrets Manager call it"
            }
            Kind::NotRotatable => {
                "look at the secret's version labels (`turnlock explain`); start a rotation with RotateSecret"
            }
            Kind::BadSecret => "correct the secret's value, then rotate again; nothing was changed",
            Kind::BadPolicy => {
                "change the password settings in the function's environment; nothing was changed"
            }
            Kind::AccessDenied => "grant the named action to the function's role",
            Kind::Throttled => {
                "spread rotation schedules, or raise the quota; Secrets Manager tries again by itself"
            }
            Kind::Unreachable => {
                "check subnet routes, security groups, DNS and the server's state; Secrets Manager tries again by itself"
            }
            Kind::CredentialRejected => {
                "run the rotation again; if that does not help, `turnlock explain` says which version logs in"
            }
            Kind::LockedOut => {
                "set the user's password on the server to the one in AWSCURRENT (and a new date, if the account has expired), or rotate once with ADMIN_RESET=true and an admin secret (masterarn)"
            }
            Kind::NotOurs => {
                "nothing was changed; make sure that the secret names the account and the server it is meant for"
            }
            Kind::ServerRefused => "see the server's own words; nothing was promoted",
            Kind::Conflict => {
                "nothing to do: the newer rotation goes on; if none does, remove AWSPENDING and rotate again"
            }
            Kind::Bug => {
                "please report this with the log lines of this invocation; running the rotation again is safe"
            }
        }
    }
}

/// The longest error, in bytes. Lambda takes 6 MB; people read less.
const WHOLE: usize = 30 << 10;

/// What went wrong. `Display` prints one line without causes and remedy; [`Error::report`] returns all of it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    step: Option<&'static str>,
    what: String,
    causes: Vec<String>,
    remedy: Option<String>,
    is_full: bool,
    is_distrust: bool,
}

/// The result of every function here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error. `what` says what happened, in a sentence without capital letter and full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Error {
        let (causes, is_full, is_distrust) = (Vec::new(), false, false);
        Error { kind, step: None, what: what.into(), causes, remedy: None, is_full, is_distrust }
    }

    /// Says what to do, if that is more precise than the remedy of the kind.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Error {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds another error and everything behind it as the cause, as text.
    #[must_use]
    pub fn because(mut self, cause: &dyn std::error::Error) -> Error {
        let mut next = Some(cause);
        while let Some(error) = next {
            let said = Said::new(&error.to_string());
            // Some drivers repeat their source in their own text. One mention is enough.
            if !self.causes.last().is_some_and(|last| last.contains(said.text())) {
                self.causes.push(said.into());
            }
            next = error.source();
        }
        self
    }

    /// Adds one line as a cause. What others said goes into it as [`Said`].
    #[must_use]
    pub fn cause(mut self, text: impl Into<String>) -> Error {
        self.causes.push(text.into());
        self
    }

    /// Names the step in which the error happened, as Secrets Manager spells it. The first call wins.
    #[must_use]
    pub fn during(mut self, step: &'static str) -> Error {
        self.step.get_or_insert(step);
        self
    }

    /// Says that the server answered that it has no session left, although nothing more is known about the login.
    #[must_use]
    pub fn full(mut self) -> Error {
        self.is_full = true;
        self
    }

    /// Whether the server has no session left.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Says that the server's certificate comes from an authority that is not trusted.
    #[must_use]
    pub fn distrust(mut self) -> Error {
        self.is_distrust = true;
        self
    }

    /// Whether the server's certificate was not trusted.
    pub fn is_distrust(&self) -> bool {
        self.is_distrust
    }

    /// Whether a login that ended like this was refused by the server itself. Silence refuses nothing.
    pub fn is_refusal(&self) -> bool {
        self.is_full || matches!(self.kind, Kind::CredentialRejected | Kind::ServerRefused | Kind::NotOurs)
    }

    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Masks every secret that this invocation has met, in what others said.
    #[must_use]
    pub fn scrub(mut self, scrub: &Scrub) -> Error {
        self.what = scrub.clean(&self.what);
        self.causes = self.causes.iter().map(|cause| scrub.clean(cause)).collect();
        self.remedy = self.remedy.map(|remedy| scrub.clean(&remedy));
        self
    }

    /// The whole error in one line: step, what happened, each cause once, and what to do.
    pub fn report(&self) -> String {
        let advice = cut(self.advice().to_owned(), WHOLE / 3);
        format!("{}. What to do: {advice}", cut(self.story(), WHOLE - advice.len()))
    }

    /// The report without what to do.
    pub fn story(&self) -> String {
        let mut text = String::new();
        if let Some(step) = self.step {
            text.push_str(step);
            text.push_str(": ");
        }
        text.push_str(&self.what);
        for cause in &self.causes {
            text.push_str(": ");
            text.push_str(cause);
        }
        text
    }

    /// What to do.
    pub fn advice(&self) -> &str {
        self.remedy.as_deref().unwrap_or(self.kind.remedy())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_report_has_the_step_the_event_each_cause_and_the_remedy_once() {
        let cause = std::io::Error::other("connection reset");
        let error = Error::new(Kind::Unreachable, "no answer from db:5432")
            .because(&cause)
            .remedy("open the port")
            .during("setSecret")
            .during("testSecret");
        assert_eq!(
            error.scrub(&Scrub::default()).report(),
            "setSecret: no answer from db:5432: connection reset. What to do: open the port"
        );
    }

    #[test]
    fn an_error_is_never_longer_than_32_kb_and_still_says_what_to_do() {
        let long = "ü".repeat(1 << 20);
        let mut error = Error::new(Kind::ServerRefused, long.clone()).remedy(long.clone());
        for _ in 0..20 {
            error = error.cause(Said::new(&long)).because(&std::io::Error::other(long.clone()));
        }
        assert!(error.report().len() <= 32 << 10 && error.report().contains(". What to do: "));
        let error = Error::new(Kind::ServerRefused, "no").cause(Said::new(&long)).remedy("paste this");
        let error = error.scrub(&Scrub::default());
        assert!(error.report().len() < 5 << 10 && error.report().ends_with("[...]. What to do: paste this"));
    }

    #[test]
    fn scrubbing_reaches_what_others_said_in_every_part_and_none_of_our_words() {
        let scrub = Scrub::default();
        scrub.learn(&Secret::new("hunter2-hunter2".into()));
        let said =
            |part: &str| format!("our hunter2-hunter2 {}", Said::new(&format!("{part} hunter2-hunter2")));
        let error = Error::new(Kind::Bug, said("a"))
            .cause(said("b"))
            .because(&std::io::Error::other("c hunter2-hunter2"))
            .remedy(said("d"));
        assert_eq!(
            error.scrub(&scrub).report(),
            "our hunter2-hunter2 a [hidden]: our hunter2-hunter2 b [hidden]: c [hidden]. \
             What to do: our hunter2-hunter2 d [hidden]"
        );
    }
}
