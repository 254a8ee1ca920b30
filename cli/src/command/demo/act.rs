//! One rotation of the demo: an account, its secret, clients, the four steps, and a check that everything shown was true.

use std::path::Path;
use std::time::{Duration, Instant};

use lab::continuity::{Clients, Habits, Tally};
use lab::rotation::Step;
use lab::secrets::VersionInfo;
use lab::world::World;
use serde_json::{Value, json};

use super::subject::Subject;
use crate::failure::Failure;
use crate::screen::{Paint, Screen};

/// What is true after the demo was interrupted.
pub(super) const GONE: &str = "everything that the demo had started is gone";

/// A rotation to show.
pub(super) struct Act<'a> {
    pub(super) strategy: &'a str,
    pub(super) subject: &'a Subject,
    pub(super) binary: &'a Path,
    pub(super) clients: usize,
    pub(super) screen: &'a Screen,
}

/// The rotation that was shown.
pub(super) struct Outcome {
    pub(super) strategy: String,
    /// Whether the strategy promises that no client is refused.
    pub(super) overlaps: bool,
    pub(super) steps: Vec<(Step, Duration)>,
    pub(super) tally: Tally,
    /// How long clients logged in.
    pub(super) watched: Duration,
    /// The promises that did not hold.
    pub(super) untrue: Vec<String>,
}

impl Outcome {
    /// How long the four steps took.
    pub(super) fn took(&self) -> Duration {
        self.steps.iter().map(|(_, took)| *took).sum()
    }

    pub(super) fn json(&self) -> Value {
        let steps: Vec<Value> =
            self.steps.iter().map(|(step, took)| json!({"step": step.name(), "ms": ms(*took)})).collect();
        json!({
            "strategy": self.strategy, "steps": steps, "ms": ms(self.took()), "logins": self.tally.logins(),
            "refused": self.tally.refused, "unanswered": self.tally.unanswered, "gap_ms": ms(self.tally.gap),
            "untrue": self.untrue,
        })
    }
}

impl Act<'_> {
    pub(super) async fn play(&self) -> Result<Outcome, Failure> {
        if !self.screen.json {
            self.screen.out(format!("\n{}", self.screen.paint(Paint::Strong, self.strategy)));
        }
        let world = self.subject.world(self.strategy, self.binary).await?;
        let habits = Habits { clients: self.clients, ..Habits::default() };
        let before = world.current();
        let clients = Clients::start(&world.lab.secrets(), &world.secret, habits, self.subject.login());
        let started = Instant::now();
        // Enough logins to see that the clients get in.
        self.watch(&clients, started, |tally| tally.accepted >= 4 * self.clients as u64).await?;
        let token = world.begin()?;
        self.show_labels(&world);
        let (mut steps, mut seen) = (Vec::new(), clients.tally());
        for step in Step::ALL {
            self.screen.doing(format!("{} of the demo", step.name()), GONE);
            let began = Instant::now();
            let stepping = world.step(&token, step);
            let done = self.meanwhile(&clients, started, stepping).await;
            done.map_err(|error| failed(step.name(), &error.to_string()))?;
            steps.push((step, began.elapsed()));
            self.show_step(step, began.elapsed(), &seen, &clients.tally());
            seen = clients.tally();
        }
        world.lab.secrets().end_rotation(&world.secret)?;
        self.show_labels(&world);
        // Waits until the new version has as many logins as the old one had before.
        let used = |tally: &Tally| {
            tally.by_version.iter().any(|(id, used)| *id == token && *used >= 4 * self.clients as u64)
        };
        self.watch(&clients, started, used).await?;
        let tally = clients.stop().await;
        let mut outcome = Outcome {
            strategy: self.strategy.to_owned(),
            overlaps: self.subject.overlaps(self.strategy),
            steps,
            tally,
            watched: started.elapsed(),
            untrue: Vec::new(),
        };
        outcome.untrue = self.untrue(&world, &outcome, &before).await?;
        self.screen.progress("");
        Ok(outcome)
    }

    /// Shows the clients at work until `enough` says so.
    async fn watch(
        &self,
        clients: &Clients,
        started: Instant,
        enough: impl Fn(&Tally) -> bool,
    ) -> Result<(), Failure> {
        let patience = tokio::time::timeout(Duration::from_secs(60), clients.until(enough));
        let waited = self.meanwhile(clients, started, patience).await;
        waited.map_err(|_| {
            let trouble = clients.tally().trouble.unwrap_or_else(|| "no login was accepted".to_owned());
            failed("the clients", &trouble)
        })
    }

    /// Shows the clients at work until `work` is done.
    async fn meanwhile<T>(&self, clients: &Clients, started: Instant, work: impl Future<Output = T>) -> T {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = every.tick() => {
                    let tally = clients.tally();
                    let rate = tally.logins() as f64 / started.elapsed().as_secs_f64().max(0.001);
                    self.screen.progress(&format!(
                        "  {} clients: {} logins, {rate:.0} a second, {} refused", self.clients, tally.logins(), tally.refused
                    ));
                }
            }
        }
    }

    fn show_step(&self, step: Step, took: Duration, before: &Tally, after: &Tally) {
        if self.screen.json {
            return;
        }
        let what = self.subject.tells(step);
        let (logins, refused) = (after.logins() - before.logins(), after.refused - before.refused);
        let logins = self.screen.paint(Paint::Faint, format!("{logins} logins, {refused} refused"));
        self.screen.out(format!("  {:<13} {:>5} ms  {what:<48}  {logins}", step.name(), ms(took)));
    }

    /// Prints the labels of each version.
    fn show_labels(&self, world: &World) {
        if self.screen.json {
            return;
        }
        let versions = world.lab.secrets().versions(&world.secret).unwrap_or_default();
        let shown: Vec<String> = versions.iter().map(|version| self.label(world, version)).collect();
        self.screen.out(format!("  {}", shown.join("   ")));
    }

    fn label(&self, world: &World, version: &VersionInfo) -> String {
        let value = world.lab.secrets().value_of(&world.secret, &version.id);
        let value: Option<Value> = value.and_then(|text| serde_json::from_str(&text).ok());
        let user = value.as_ref().and_then(|value| self.subject.name(value)).unwrap_or("empty");
        let labels = if version.labels.is_empty() { "-".to_owned() } else { version.labels.join("+") };
        let short = &version.id[..version.id.len().min(8)];
        self.screen.paint(Paint::Faint, format!("{short} ({user})"))
            + " "
            + &self.screen.paint(Paint::Careful, labels)
    }

    /// The promises of this rotation that do not hold.
    async fn untrue(&self, world: &World, outcome: &Outcome, before: &Value) -> Result<Vec<String>, Failure> {
        let (now, credential) = (world.current(), self.subject.credential());
        let login = self.subject.login();
        let accepts = async |value: &Value| login(value.clone()).await;
        let promises = [
            (now[credential] != before[credential], "the credential is new"),
            (accepts(&now).await?, "AWSCURRENT logs in"),
            (
                accepts(before).await? == outcome.overlaps,
                "the old credential ends exactly where the strategy says so",
            ),
            (outcome.tally.unanswered == 0, "every login got an answer"),
            (!outcome.overlaps || outcome.tally.refused == 0, "no login was refused"),
            self.subject.promise(world),
        ];
        let broken = promises.iter().filter(|(holds, _)| !holds);
        Ok(broken.map(|(_, promise)| format!("{}: not true that {promise}", self.strategy)).collect())
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The failure of a step of the demo.
fn failed(what: &str, why: &str) -> Failure {
    let (why, hint) =
        why.split_once(". What to do: ").unwrap_or((why, "please report this with the output above"));
    Failure::finding(format!("{what} failed: {why}"), hint)
}
