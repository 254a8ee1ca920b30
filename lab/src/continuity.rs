//! Clients that log in with AWSCURRENT over and over while something happens to it, each with a copy as old as real caches keep
//! it, and pools that keep their sessions for a while: how many logins were accepted, how many refused, for how long nobody got
//! in, and how many sessions broke. Knows no target: a closure logs in.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::lock::locked;
use crate::secrets::Secrets;

/// Logs in with a secret's value: true if it was accepted, false if it was refused, an error if there was no answer.
pub type Login = Arc<dyn Fn(Value) -> Attempt + Send + Sync>;
/// A login under way.
pub type Attempt = Pin<Box<dyn Future<Output = io::Result<bool>> + Send>>;

/// Logs in and stays: the session if the login was accepted, none if it was refused, an error if there was no answer.
pub type Open = Arc<dyn Fn(Value) -> Opening + Send + Sync>;
/// A login under way that is to stay.
pub type Opening = Pin<Box<dyn Future<Output = Opened> + Send>>;
/// What came of it.
pub type Opened = io::Result<Option<Box<dyn Session>>>;

/// What a pool keeps open.
pub trait Session: Send {
    /// Uses it once, as an application would; an error means that it broke.
    fn ask(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>>;
}

/// Of a login that does not stay.
impl Session for () {
    fn ask(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

/// How clients behave.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many there are.
    pub clients: usize,
    /// How old a client lets its copy of the secret become; a refusal makes it read again at once, as AWS's caching clients do.
    pub cache: Duration,
    /// How long a client waits after a login, and before each use of a session.
    pub pause: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self { clients: 8, cache: Duration::from_millis(250), pause: Duration::from_millis(10) }
    }
}

impl Habits {
    /// What the client with this number has of a time, so that not all do the same at once.
    fn share(&self, time: Duration, number: usize) -> Duration {
        let part = |number| u32::try_from(number).unwrap_or(u32::MAX);
        time / part(self.clients.max(1)) * part(number)
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
    /// Sessions that broke while they were open.
    pub cut: u64,
    /// What the first of those two met.
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

    fn count(&mut self, opened: &Opened, version: &str, kept_out: &mut Option<Instant>) {
        match opened {
            Ok(Some(_)) => {
                self.accepted += 1;
                match self.by_version.iter_mut().find(|(known, _)| known == version) {
                    Some((_, count)) => *count += 1,
                    None => self.by_version.push((version.to_owned(), 1)),
                }
                if let Some(since) = kept_out.take() {
                    self.gap = self.gap.max(since.elapsed());
                }
            }
            Ok(None) => {
                self.refused += 1;
                // Told while it lasts too, or a client that never gets in again would not count.
                let since = kept_out.get_or_insert_with(Instant::now);
                self.gap = self.gap.max(since.elapsed());
            }
            Err(error) => {
                self.unanswered += 1;
                self.met(error);
            }
        }
    }

    fn met(&mut self, error: &io::Error) {
        self.trouble.get_or_insert_with(|| error.to_string());
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
        let open: Open = Arc::new(move |value| {
            let attempt = login(value);
            Box::pin(async move { Ok(attempt.await?.then(|| Box::new(()) as Box<dyn Session>)) })
        });
        // Their copies do not all grow old at the same moment.
        let copy = |number| Copy::new(secrets, secret, habits.cache, habits.share(habits.cache, number));
        Clients::send(secrets, secret, habits, Duration::ZERO, &open, copy)
    }

    /// Opens a pool, whose clients share one copy of the secret: each keeps a session, uses it again and again, and after
    /// `lifetime` opens another in its place.
    #[must_use]
    pub fn pool(secrets: &Secrets, secret: &str, habits: Habits, lifetime: Duration, open: &Open) -> Clients {
        let copy = Copy::new(secrets, secret, habits.cache, habits.cache);
        Clients::send(secrets, secret, habits, lifetime, open, |_| Arc::clone(&copy))
    }

    fn send(
        secrets: &Secrets,
        secret: &str,
        habits: Habits,
        lifetime: Duration,
        open: &Open,
        copy: impl Fn(usize) -> Arc<Mutex<Copy>>,
    ) -> Clients {
        let (tally, enough) = (Arc::new(Mutex::new(Tally::default())), Arc::new(AtomicBool::new(false)));
        let last = Arc::new(Mutex::new(vec![String::new(); habits.clients]));
        let mut work = JoinSet::new();
        for number in 0..habits.clients {
            let client = Client {
                copy: copy(number),
                habits,
                lifetime,
                open: Arc::clone(open),
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
    copy: Arc<Mutex<Copy>>,
    habits: Habits,
    lifetime: Duration,
    open: Open,
    tally: Arc<Mutex<Tally>>,
    last: Arc<Mutex<Vec<String>>>,
    enough: Arc<AtomicBool>,
}

impl Client {
    async fn work(self, number: usize) {
        // Nor do all sessions end at the same moment.
        let mut lifetime = self.habits.share(self.lifetime, number + 1);
        let mut kept_out: Option<Instant> = None;
        while !self.is_enough() {
            let copy = locked(&self.copy).look();
            if let Some((version, value)) = copy {
                let opened = (self.open)(value).await;
                match opened {
                    Ok(Some(_)) => version.clone_into(&mut locked(&self.last)[number]),
                    Ok(None) => locked(&self.copy).stale = Instant::now(),
                    Err(_) => {}
                }
                locked(&self.tally).count(&opened, &version, &mut kept_out);
                if let Ok(Some(session)) = opened {
                    self.keep(session, lifetime).await;
                    lifetime = self.lifetime;
                }
            }
            tokio::time::sleep(self.habits.pause).await;
        }
    }

    /// Uses a session until its time is over or it breaks.
    async fn keep(&self, mut session: Box<dyn Session>, lifetime: Duration) {
        let opened = Instant::now();
        while opened.elapsed() < lifetime && !self.is_enough() {
            tokio::time::sleep(self.habits.pause).await;
            if let Err(error) = session.ask().await {
                let mut tally = locked(&self.tally);
                tally.cut += 1;
                return tally.met(&error);
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.enough.load(Ordering::SeqCst)
    }
}

/// A copy of AWSCURRENT that grows old.
struct Copy {
    secrets: Secrets,
    secret: String,
    cache: Duration,
    held: Option<(String, Value)>,
    stale: Instant,
}

impl Copy {
    /// A copy that has this long to go.
    fn new(secrets: &Secrets, secret: &str, cache: Duration, left: Duration) -> Arc<Mutex<Copy>> {
        let (secrets, secret) = (secrets.clone(), secret.to_owned());
        let mut copy = Copy { secrets, secret, cache, held: None, stale: Instant::now() + left };
        copy.held = copy.read();
        Arc::new(Mutex::new(copy))
    }

    /// The version and its value, read again if the copy is too old.
    fn look(&mut self) -> Option<(String, Value)> {
        if Instant::now() >= self.stale {
            self.held = self.read();
            self.stale = Instant::now() + self.cache;
        }
        self.held.clone()
    }

    fn read(&self) -> Option<(String, Value)> {
        let version = self.secrets.version_with(&self.secret, "AWSCURRENT")?;
        let value = self.secrets.value_of(&self.secret, &version)?;
        Some((version, serde_json::from_str(&value).ok()?))
    }
}
