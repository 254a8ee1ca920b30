//! Clients that log in with AWSCURRENT over and over while a rotation runs, each with a copy as old as real caches keep it, and
//! pools that keep their sessions for a while. The tally counts accepted and refused logins and broken sessions, and measures how
//! long a client was kept out. This module knows no target: a closure logs in.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::lock::locked;
use crate::secrets::Secrets;

/// Logs in with a secret's value: true if the server accepted, false if it refused, an error if it did not answer.
pub type Login = Arc<dyn Fn(Value) -> Attempt + Send + Sync>;
/// A login that is under way.
pub type Attempt = Pin<Box<dyn Future<Output = io::Result<bool>> + Send>>;

/// Logs in and keeps the session: the session if the server accepted, `None` if it refused, an error if it did not answer.
pub type Open = Arc<dyn Fn(Value) -> Opening + Send + Sync>;
/// A login that is under way, for a session to keep.
pub type Opening = Pin<Box<dyn Future<Output = Opened> + Send>>;
/// The outcome of such a login.
pub type Opened = io::Result<Option<Box<dyn Session>>>;

/// A session that a pool keeps open.
pub trait Session: Send {
    /// Uses the session once, as an application would. An error means that the session broke.
    fn ask(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>>;
}

/// The session of a login that closes at once.
impl Session for () {
    fn ask(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

/// How clients behave.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// The number of clients.
    pub clients: usize,
    /// How old a client lets its copy of the secret become. After a refusal it reads the secret again at once, as AWS's caching
    /// clients do.
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
    /// This client's share of a time, so that not all clients act at the same moment.
    fn share(&self, time: Duration, number: usize) -> Duration {
        let part = |number| u32::try_from(number).unwrap_or(u32::MAX);
        time / part(self.clients.max(1)) * part(number)
    }
}

/// The outcomes of the logins so far.
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
    /// The first error: of a login without an answer, or of a session that broke.
    pub trouble: Option<String>,
    /// The longest time that a client was kept out, from its first refused login to its next accepted one.
    pub gap: Duration,
    /// Accepted logins with each version, in the order in which the versions were first used.
    pub by_version: Vec<(String, u64)>,
}

impl Tally {
    /// Logins of every outcome.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.accepted + self.refused + self.unanswered
    }

    /// A line of a table: engine, strategy, logins, refused logins, the longest time that a client was kept out.
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
                // Measured at every refusal, so that a client that never gets in again counts too.
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

/// Running clients. They stop when this value is dropped.
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
    /// Starts clients that use a secret. They read it without the lab's HTTP server, so the call log has only the function's
    /// calls.
    #[must_use]
    pub fn start(secrets: &Secrets, secret: &str, habits: Habits, login: Login) -> Clients {
        let open: Open = Arc::new(move |value| {
            let attempt = login(value);
            Box::pin(async move { Ok(attempt.await?.then(|| Box::new(()) as Box<dyn Session>)) })
        });
        // Spread, so that not all copies become too old at the same moment.
        let copy = |number| Copy::new(secrets, secret, habits.cache, habits.share(habits.cache, number));
        Clients::send(secrets, secret, habits, Duration::ZERO, &open, copy)
    }

    /// Opens a pool whose clients share one copy of the secret. Each client keeps a session and uses it again and again. After
    /// `lifetime` it opens another.
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

    /// The outcomes so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        locked(&self.tally).clone()
    }

    /// Waits until `is_enough` accepts the tally.
    pub async fn until(&self, is_enough: impl Fn(&Tally) -> bool) {
        while !is_enough(&self.tally()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until every client has logged in with the present AWSCURRENT. Then no client has an older copy, and the next
    /// rotation may begin, as with a real schedule.
    pub async fn renewed(&self) {
        let current = self.secrets.version_with(&self.secret, "AWSCURRENT");
        while locked(&self.last).iter().any(|last| Some(last) != current.as_ref()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets each client finish its last login, and returns the tally.
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
        // Spread, so that not all sessions end at the same moment either.
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

    /// Uses a session until its lifetime is over or it breaks.
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

/// A copy of AWSCURRENT that is read again when it is too old.
struct Copy {
    secrets: Secrets,
    secret: String,
    cache: Duration,
    held: Option<(String, Value)>,
    stale: Instant,
}

impl Copy {
    /// Reads a copy that stays fresh for `left`.
    fn new(secrets: &Secrets, secret: &str, cache: Duration, left: Duration) -> Arc<Mutex<Copy>> {
        let (secrets, secret) = (secrets.clone(), secret.to_owned());
        let mut copy = Copy { secrets, secret, cache, held: None, stale: Instant::now() + left };
        copy.held = copy.read();
        Arc::new(Mutex::new(copy))
    }

    /// The version and its value. Reads the secret again if the copy is too old.
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
