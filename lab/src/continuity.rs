//! Clients that log in with AWSCURRENT over and over while something happens to it, each with a copy as old as real caches keep
//! it: how many logins were accepted, how many refused, and for how long nobody got in. Knows no target: a closure logs in.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::runtime::locked;
use crate::secrets::Secrets;

/// Logs in with a secret's value: true if it was accepted, false if it was refused, an error if there was no answer.
pub type Login = Arc<dyn Fn(Value) -> Attempt + Send + Sync>;
/// A login under way.
pub type Attempt = Pin<Box<dyn Future<Output = io::Result<bool>> + Send>>;

/// How clients behave.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many there are.
    pub clients: usize,
    /// How old a client lets its copy of the secret become; a refusal makes it read again at once, as AWS's caching clients do.
    pub cache: Duration,
    /// How long a client waits after a login.
    pub pause: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self { clients: 8, cache: Duration::from_millis(250), pause: Duration::from_millis(10) }
    }
}

/// What came of the logins so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Logins that were accepted.
    pub accepted: u64,
    /// Logins that were refused.
    pub refused: u64,
    /// Logins that got no answer.
    pub unanswered: u64,
    /// What the first of those met.
    pub trouble: Option<String>,
    /// The longest that a client was kept out: from its first refused login to its next accepted one.
    pub gap: Duration,
    /// Logins that were accepted with each version, in the order in which the versions were first used.
    pub by_version: Vec<(String, u64)>,
}

impl Tally {
    /// Logins of every outcome.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.accepted + self.refused + self.unanswered
    }

    /// A line of a table: engine, strategy, logins, refused ones, the longest that a client was kept out.
    #[must_use]
    pub fn line(&self, engine: &str, strategy: &str) -> String {
        let Tally { refused, gap, .. } = self;
        format!("| {engine} | {strategy} | {} | {refused} | {} ms |", self.logins(), gap.as_millis())
    }

    fn count(&mut self, outcome: io::Result<bool>, version: &str, kept_out: &mut Option<Instant>) {
        match outcome {
            Ok(true) => {
                self.accepted += 1;
                match self.by_version.iter_mut().find(|(known, _)| known == version) {
                    Some((_, count)) => *count += 1,
                    None => self.by_version.push((version.to_owned(), 1)),
                }
                if let Some(since) = kept_out.take() {
                    self.gap = self.gap.max(since.elapsed());
                }
            }
            Ok(false) => {
                self.refused += 1;
                // Told while it lasts too, or a client that never gets in again would not count.
                let since = kept_out.get_or_insert_with(Instant::now);
                self.gap = self.gap.max(since.elapsed());
            }
            Err(error) => {
                self.unanswered += 1;
                self.trouble.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Clients at work. They stop with this value.
pub struct Clients {
    secrets: Secrets,
    secret: String,
    tally: Arc<Mutex<Tally>>,
    /// The version that each client logged in with last.
    last: Arc<Mutex<Vec<String>>>,
    enough: Arc<AtomicBool>,
    work: JoinSet<()>,
}

impl Clients {
    /// Sends clients to work on a secret. The secret is read beside the lab's HTTP server, so its call log stays the function's.
    #[must_use]
    pub fn start(secrets: &Secrets, secret: &str, habits: Habits, login: Login) -> Clients {
        let (tally, enough) = (Arc::new(Mutex::new(Tally::default())), Arc::new(AtomicBool::new(false)));
        let last = Arc::new(Mutex::new(vec![String::new(); habits.clients]));
        let mut work = JoinSet::new();
        for number in 0..habits.clients {
            let client = Client {
                secrets: secrets.clone(),
                secret: secret.to_owned(),
                habits,
                login: Arc::clone(&login),
                tally: Arc::clone(&tally),
                last: Arc::clone(&last),
                enough: Arc::clone(&enough),
            };
            work.spawn(client.work(number));
        }
        Clients { secrets: secrets.clone(), secret: secret.to_owned(), tally, last, enough, work }
    }

    /// What came of it so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        locked(&self.tally).clone()
    }

    /// Waits until `is_enough` of the tally.
    pub async fn until(&self, is_enough: impl Fn(&Tally) -> bool) {
        while !is_enough(&self.tally()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until every client has logged in with what is AWSCURRENT now: nobody has an older copy any more, so that the next
    /// rotation may begin, as with any real schedule.
    pub async fn renewed(&self) {
        let current = self.secrets.version_with(&self.secret, "AWSCURRENT");
        while locked(&self.last).iter().any(|last| Some(last) != current.as_ref()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets each client finish its last login, and tells what came of all of them.
    ///
    /// # Panics
    /// If the closure panicked.
    pub async fn stop(mut self) -> Tally {
        self.enough.store(true, Ordering::SeqCst);
        while let Some(ended) = self.work.join_next().await {
            ended.expect("a client ends well");
        }
        self.tally()
    }
}

struct Client {
    secrets: Secrets,
    secret: String,
    habits: Habits,
    login: Login,
    tally: Arc<Mutex<Tally>>,
    last: Arc<Mutex<Vec<String>>>,
    enough: Arc<AtomicBool>,
}

impl Client {
    async fn work(self, number: usize) {
        // Their copies do not all grow old at the same moment.
        let share = self.habits.cache / u32::try_from(self.habits.clients.max(1)).unwrap_or(u32::MAX);
        let mut stale = Instant::now() + share * u32::try_from(number).unwrap_or(0);
        let mut copy = self.read();
        let mut kept_out: Option<Instant> = None;
        while !self.enough.load(Ordering::SeqCst) {
            if Instant::now() >= stale {
                copy = self.read();
                stale = Instant::now() + self.habits.cache;
            }
            if let Some((version, value)) = &copy {
                let outcome = (self.login)(value.clone()).await;
                match outcome {
                    Ok(true) => version.clone_into(&mut locked(&self.last)[number]),
                    Ok(false) => stale = Instant::now(),
                    Err(_) => {}
                }
                locked(&self.tally).count(outcome, version, &mut kept_out);
            }
            tokio::time::sleep(self.habits.pause).await;
        }
    }

    fn read(&self) -> Option<(String, Value)> {
        let version = self.secrets.version_with(&self.secret, "AWSCURRENT")?;
        let value = self.secrets.value_of(&self.secret, &version)?;
        Some((version, serde_json::from_str(&value).ok()?))
    }
}
