//! `turnlock explain` says where a rotation stands and which action is safe next. `turnlock repair` takes that action.

use aws_smithy_types::DateTime;
use clap::Args;
use serde_json::json;

use super::invoke::Invoke;
use crate::account::{Account, Place};
use crate::diagnose::{self, Login, Report, Versions};
use crate::failure::{Exit, Failure};
use crate::labels::{CURRENT, PENDING, State, now};
use crate::screen::{Paint, RESUMABLE, Screen};
use crate::story::{self, Action, Facts, Story};

/// Say where a rotation stands, which versions log in, and the next safe action.
///
/// Changes nothing. The labels say how far the steps came. With --function or --through it also tries the logins, with
/// AWSCURRENT and AWSPENDING only, once each.
#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    what: Subject,
}

/// Take the next safe action that `explain` names, after showing it.
///
/// Runs the steps again, removes AWSPENDING from a version that the server refuses, or rotates again; nothing else.
#[derive(Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    what: Subject,
    /// Do it in a real AWS account.
    #[arg(long)]
    yes: bool,
}

/// A secret, and the function that tries its logins.
#[derive(Args)]
struct Subject {
    /// The secret's name or ARN.
    #[arg(value_name = "SECRET_ID")]
    secret: String,
    /// Try the logins with a function started here.
    #[arg(long, value_name = "COMMAND")]
    function: Option<String>,
    /// Try the logins with a deployed function that has ALLOW_DIAGNOSE=true.
    #[arg(long, value_name = "ARN", conflicts_with = "function")]
    through: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// What was found.
struct Found {
    account: Account,
    state: State,
    report: Report,
    story: Story,
}

impl Subject {
    async fn look(&self) -> Result<Found, Failure> {
        let account = Account::open(&self.place).await?;
        let state = account.state(&self.secret).await?;
        let report = match (&self.function, &self.through) {
            (Some(command), _) => diagnose::ask_here(&account, &state, command, Versions::InUse).await?,
            (None, Some(arn)) => diagnose::ask_there(&account, &state, arn, Versions::InUse).await?,
            (None, None) => Report::default(),
        };
        let filled = match state.under_way() {
            // Without permission to read values, the rest can still be explained.
            Some(version) => account.value(&state.arn, &version.id).await.ok().map(|value| value.is_some()),
            None => None,
        };
        let facts = Facts {
            state: &state,
            filled,
            current: report.login("current"),
            pending: report.login("pending"),
            edited: report.edited(),
        };
        let story = story::tell(&facts);
        Ok(Found { account, state, report, story })
    }
}

impl Found {
    fn print(&self, screen: &Screen) {
        for version in self.state.versions.iter().filter(|version| !version.labels.is_empty()) {
            screen.out(format!("  {}{}", version.line(screen), self.login_of(&version.labels)));
        }
        let paint = if self.story.action == Action::Nothing { Paint::Good } else { Paint::Careful };
        screen.out(screen.paint(paint, self.story.what));
        screen.out(format!("  {}", self.story.why));
        if self.is_recent() {
            screen.out(
                "  the rotation began less than five minutes ago and may still be running: look again before you act",
            );
        }
        screen.out(format!("next: {}", self.story.advice));
    }

    fn login_of(&self, labels: &[String]) -> &'static str {
        let has = |label: &str| labels.iter().any(|it| it == label);
        let login = match (has(CURRENT), has(PENDING)) {
            (true, _) => self.report.login("current"),
            (false, true) => self.report.login("pending"),
            (false, false) => Login::Unknown,
        };
        match login {
            Login::Accepted => "  logs in",
            Login::Rejected => "  is refused",
            Login::Unknown => "",
        }
    }

    /// Whether the rotation may still be running.
    fn is_recent(&self) -> bool {
        let recent = |at: DateTime| now().secs() - at.secs() < 300;
        self.state.under_way().is_some_and(|version| version.created.is_none_or(recent))
    }

    fn exit(&self) -> Exit {
        if self.story.action == Action::Nothing { Exit::Fine } else { Exit::Finding }
    }

    fn json(&self, done: bool) -> serde_json::Value {
        let login = |which: &str| match self.report.login(which) {
            Login::Accepted => "accepted",
            Login::Rejected => "rejected",
            Login::Unknown => "unknown",
        };
        json!({
            "secret": self.state.arn, "state": self.story.what, "why": self.story.why, "advice": self.story.advice,
            "action": self.story.action.name(), "done": done, "recent": self.is_recent(), "labels": self.state.labels_json(),
            "login_current": login("current"), "login_pending": login("pending"),
        })
    }
}

impl Explain {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let found = self.what.look().await?;
        if screen.json {
            screen.out_json(&found.json(false));
        } else {
            found.print(screen);
            if matches!(found.story.action, Action::RunAgain | Action::DropPending | Action::Rotate) {
                screen.out(
                    screen.paint(Paint::Faint, format!("`turnlock repair {}` does it", found.state.name)),
                );
            }
        }
        Ok(found.exit())
    }
}

impl Repair {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let found = self.what.look().await?;
        let action = found.story.action;
        if !screen.json {
            found.print(screen);
        }
        let real = !found.account.local;
        if real && !self.yes && !matches!(action, Action::Nothing | Action::Person) {
            return Err(Failure::usage(
                format!("{} is in a real AWS account ({})", found.state.arn, found.account.endpoint),
                "add --yes to take the action above",
            ));
        }
        match (action, found.state.under_way()) {
            (Action::Nothing | Action::Person, _) => {
                if screen.json {
                    screen.out_json(&found.json(false));
                }
                Ok(found.exit())
            }
            (Action::DropPending, Some(version)) => {
                screen.doing("removing AWSPENDING", RESUMABLE);
                found.account.drop_pending(&found.state.arn, &version.id).await?;
                if screen.json {
                    screen.out_json(&found.json(true));
                } else {
                    screen.out(screen.paint(Paint::Good, "AWSPENDING is removed: rotate again"));
                }
                Ok(Exit::Fine)
            }
            (Action::DropPending | Action::RunAgain | Action::Rotate, _) => {
                let function = self.what.function.or(self.what.through);
                Invoke::whole(found.state.arn, function, self.yes, self.what.place).run(screen).await
            }
        }
    }
}
