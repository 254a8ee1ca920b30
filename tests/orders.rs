//! Steps that are repeated, late, out of order, simultaneous or cut off. On a real PostgreSQL, steps in sequence do what a small
//! model of labels and passwords predicts. Simultaneous or cut-off steps keep the promises.

#![expect(clippy::unwrap_used, reason = "all of this is one test: a panic is its failure")]

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use lab::rotation::Step;
use lab::secrets::{At, Fault, Hook, Verdict, What};
use lab::servers::Postgres;
use lab::world::World;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

/// How many runners play at the same time. Each plays a part of the histories.
const RUNNERS: u32 = 4;

/// One event. `usize` counts tokens from the newest.
#[derive(Clone, Debug)]
enum Event {
    Rotate,
    DropLabel,
    Step(usize, Step),
    /// Two steps at once.
    Both([(usize, Step); 2]),
    /// A step whose process is killed, or only its connection cut, before or after a call.
    Broken {
        back: usize,
        step: Step,
        call: u64,
        after: bool,
        kills: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let step = || (select(&[0, 0, 0, 0, 1, 2][..]), select(&Step::ALL[..]));
    let broken = (step(), 1..6_u64, any::<bool>(), any::<bool>());
    prop_oneof![
        3 => Just(Event::Rotate),
        1 => Just(Event::DropLabel),
        8 => step().prop_map(|(back, step)| Event::Step(back, step)),
        2 => [step(), step()].prop_map(Event::Both),
        3 => broken.prop_map(|((back, step), call, after, kills)| Event::Broken { back, step, call, after, kills }),
    ]
}

/// The labels, the versions that have a value, and the version whose password is set; versions by their index in `tokens`.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    filled: Vec<bool>,
    current: usize,
    pending: Option<usize>,
    password: usize,
}

impl Model {
    /// Makes the step's changes. Returns whether the step succeeds.
    fn step(&mut self, token: usize, step: Step) -> bool {
        if self.current == token {
            return true;
        }
        if self.pending != Some(token) || (step != Step::CreateSecret && !self.filled[token]) {
            return false;
        }
        match step {
            Step::CreateSecret => self.filled[token] = true,
            Step::SetSecret => self.password = token,
            _ if self.password != token => return false,
            Step::TestSecret => {}
            Step::FinishSecret => self.current = token,
        }
        true
    }
}

/// A secret, its account, and every token so far. The first one is the initial version.
struct History {
    world: World,
    server: Arc<Postgres>,
    user: String,
    tokens: Vec<String>,
}

impl History {
    async fn new() -> History {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let server = Postgres::shared(16).await.unwrap();
        let user = format!("orders_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        server.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'F1rst-of-many-orders'")).await.unwrap();
        let value = json!({
            "engine": "postgres", "host": server.host(), "port": server.port(), "username": user,
            "password": "F1rst-of-many-orders", "dbname": "postgres", "sslrootcert": server.ca_pem(),
        });
        let world = World::new("rotate-postgres", &[], &value).await.unwrap();
        let first = world.lab.secrets().version_with(&world.secret, "AWSCURRENT").unwrap();
        History { world, server, user, tokens: vec![first] }
    }

    fn labelled(&self, label: &str) -> Option<usize> {
        let version = self.world.lab.secrets().version_with(&self.world.secret, label)?;
        self.tokens.iter().position(|token| *token == version)
    }

    async fn logs_in(&self, version: usize) -> bool {
        let Some(value) = self.world.lab.secrets().value_of(&self.world.secret, &self.tokens[version]) else {
            return false;
        };
        let value: Value = serde_json::from_str(&value).unwrap();
        let password = value["password"].as_str().unwrap();
        self.server.can_login(&self.user, password, "postgres").await.unwrap()
    }

    /// The real state as a model; `None` if no version logs in.
    async fn look(&self) -> Option<Model> {
        let mut password = None;
        for version in (0..self.tokens.len()).rev() {
            if self.logs_in(version).await {
                password = Some(version);
                break;
            }
        }
        let value = |token: &String| self.world.lab.secrets().value_of(&self.world.secret, token);
        Some(Model {
            filled: self.tokens.iter().map(|token| value(token).is_some()).collect(),
            current: self.labelled("AWSCURRENT")?,
            pending: self.labelled("AWSPENDING"),
            password: password?,
        })
    }

    /// A token, counted from the newest. The initial version is left out, because no rotation made it.
    fn token(&self, back: usize) -> Option<usize> {
        self.tokens.len().checked_sub(back + 1).filter(|version| *version > 0)
    }

    async fn step(&self, version: usize, step: Step) -> bool {
        self.world.step(&self.tokens[version], step).await.is_ok()
    }

    fn begin(&mut self, model: &mut Model) -> bool {
        let Ok(token) = self.world.begin() else { return false };
        self.tokens.push(token);
        model.filled.push(false);
        model.pending = Some(self.tokens.len() - 1);
        true
    }

    /// Waits until sessions of dead processes have ended, because a statement that was sent still takes effect.
    async fn quiet(&self) {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.user);
        let quiet = async {
            while self.server.query(&sql).await.unwrap()[0][0].as_deref() != Some("0") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), quiet).await.expect("sessions of the dead end");
    }

    fn arm(&self, call: u64, after: bool, kills: bool) {
        let hook = match kills {
            true => Hook::kill(&self.world.function),
            false => Hook::new(|_| async { Verdict::Cut }),
        };
        let what = if after { What::After(hook) } else { What::Before(hook) };
        self.world.lab.faults().set(vec![Fault::new(At::Call(call), what)]);
    }
}

/// Plays the events, and then finishes as the service would.
async fn play(events: &[Event]) -> Result<(), TestCaseError> {
    let mut history = History::new().await;
    let mut model = history.look().await.unwrap();
    for event in events {
        let before = model.clone();
        let predicted = match event {
            Event::Rotate => {
                let may = before.pending.is_none_or(|pending| pending == before.current);
                prop_assert_eq!(history.begin(&mut model), may, "{:?}", event);
                true
            }
            Event::DropLabel => {
                history.world.lab.secrets().remove_label(&history.world.secret, "AWSPENDING").unwrap();
                model.pending = None;
                true
            }
            Event::Step(back, step) => {
                let Some(version) = history.token(*back) else { continue };
                prop_assert_eq!(
                    history.step(version, *step).await,
                    model.step(version, *step),
                    "{:?}",
                    event
                );
                true
            }
            Event::Both([(a, first), (b, second)]) => {
                let (Some(a), Some(b)) = (history.token(*a), history.token(*b)) else { continue };
                tokio::join!(history.step(a, *first), history.step(b, *second));
                false
            }
            Event::Broken { back, step, call, after, kills } => {
                let Some(version) = history.token(*back) else { continue };
                history.arm(*call, *after, *kills);
                history.step(version, *step).await;
                history.world.lab.faults().clear();
                false
            }
        };
        history.quiet().await;
        let now = history.look().await;
        prop_assert!(now.is_some(), "after {:?} no version logs in", event);
        let now = now.unwrap();
        if predicted {
            prop_assert_eq!(&now, &model, "after {:?}, which met {:?}", event, before);
        }
        // After any event, simultaneous or cut off, a promoted version must log in.
        let promoted = now.current != before.current;
        prop_assert!(!promoted || now.password == now.current, "{:?} promoted what does not log in", event);
        model = now;
    }
    if model.pending.is_none_or(|pending| pending == model.current) {
        prop_assert!(history.begin(&mut model));
    }
    let pending = model.pending.unwrap();
    let end = history.world.steps(&history.tokens[pending]).await;
    prop_assert!(end.is_ok(), "it does not end: {end:?}");
    let now = history.look().await.unwrap();
    prop_assert_eq!((now.current, now.password), (pending, pending));
    Ok(())
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

#[test]
fn any_order_of_steps_does_what_the_model_says() {
    let seed = number("TURNLOCK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let cases = number("TURNLOCK_CASES").unwrap_or(24) as u32;
    println!("{cases} histories, TURNLOCK_SEED={seed}");
    // Several runners, because a history mostly waits for values that do not exist.
    thread::scope(|scope| {
        for runner in 0..RUNNERS {
            let seed = seed.wrapping_add(u64::from(runner));
            scope.spawn(move || run(seed, cases.div_ceil(RUNNERS)));
        }
    });
}

fn run(seed: u64, cases: u32) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ran = runner.run(&prop::collection::vec(event(), 4..16), |events| runtime.block_on(play(&events)));
    ran.unwrap_or_else(|failure| panic!("{failure}"));
}
