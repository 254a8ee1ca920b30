//! Clients that log in all the while: what they count, how a cache makes them late, and what a pool keeps open.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::Lab;
use lab::continuity::{Clients, Habits, Login, Open, Session, Tally};
use serde_json::Value;

/// A server that knows one password.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<String>>);

impl Server {
    fn set(&self, password: &str) {
        *self.0.lock().expect("nobody panicked") = password.to_owned();
    }

    fn login(&self) -> Login {
        let server = self.clone();
        Arc::new(move |value: Value| {
            let known = server.0.lock().expect("nobody panicked").clone();
            Box::pin(async move {
                if known.is_empty() {
                    Err(io::Error::other("silence"))
                } else {
                    Ok(value["password"] == known.as_str())
                }
            })
        })
    }
}

async fn world() -> (Lab, Server) {
    let lab = Lab::start(Default::default()).await.expect("a lab starts");
    lab.secrets().create("app", r#"{"password": "old"}"#).expect("the secret is made");
    let server = Server::default();
    server.set("old");
    (lab, server)
}

fn put(lab: &Lab, password: &str) {
    let (token, value) = (format!("{password:0>32}"), format!(r#"{{"password": "{password}"}}"#));
    lab.secrets().put("app", &token, &value, &["AWSCURRENT"]).expect("it is put");
}

fn habits(cache: Duration) -> Habits {
    Habits { clients: 3, cache, pause: Duration::from_millis(1) }
}

#[tokio::test]
async fn a_gap_lasts_from_the_first_refusal_to_the_next_acceptance() {
    let (lab, server) = world().await;
    // A cache that outlives the test: only a refusal makes a client read again.
    let clients = Clients::start(&lab.secrets(), "app", habits(Duration::from_secs(600)), server.login());
    clients.until(|tally| tally.accepted >= 9).await;
    server.set("new");
    clients.until(|tally| tally.refused >= 9).await;
    let during = clients.tally();
    put(&lab, "new");
    clients.until(|tally| tally.by_version.len() == 2).await;
    let tally = clients.stop().await;
    assert_eq!(tally.unanswered, 0);
    assert_eq!(tally.accepted, tally.by_version.iter().map(|(_, count)| count).sum::<u64>());
    assert!(tally.refused >= during.refused && tally.gap >= during.gap && !during.gap.is_zero(), "{tally:?}");
}

#[tokio::test]
async fn clients_pick_up_a_new_version_when_their_copy_is_old() {
    let (lab, server) = world().await;
    let clients = Clients::start(&lab.secrets(), "app", habits(Duration::from_millis(20)), server.login());
    clients.until(|tally| tally.accepted >= 9).await;
    // Nobody is refused: the server's password has not changed, and the value is another version of the same.
    let newest = "v".repeat(32);
    lab.secrets().put("app", &newest, r#"{"password": "old", "note": 1}"#, &["AWSCURRENT"]).unwrap();
    clients.renewed().await;
    let before = clients.tally();
    let tally = clients.stop().await;
    let old = |tally: &Tally| tally.by_version[0].1;
    assert_eq!(old(&tally), old(&before), "a client went back to its old copy");
    assert_eq!((tally.refused, tally.unanswered, tally.gap), (0, 0, Duration::ZERO));
}

#[tokio::test]
async fn silence_is_not_a_refusal() {
    let (lab, server) = world().await;
    server.set("");
    let clients = Clients::start(&lab.secrets(), "app", habits(Duration::ZERO), server.login());
    clients.until(|tally| tally.unanswered >= 9).await;
    let tally = clients.stop().await;
    assert_eq!((tally.accepted, tally.refused, tally.trouble.as_deref()), (0, 0, Some("silence")));
}

/// A session that works as long as the server knows the password it was opened with.
struct Opened {
    server: Server,
    with: Value,
}

impl Session for Opened {
    fn ask(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        let known = self.server.login()(self.with.clone());
        Box::pin(async move { known.await?.then_some(()).ok_or_else(|| io::Error::other("cut")) })
    }
}

fn open(server: &Server) -> Open {
    let server = server.clone();
    Arc::new(move |with: Value| {
        let server = server.clone();
        Box::pin(async move {
            let accepted = server.login()(with.clone()).await?;
            Ok(accepted.then(|| Box::new(Opened { server, with }) as Box<dyn Session>))
        })
    })
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_pool_replaces_its_sessions_with_its_one_copy() {
    let (lab, server) = world().await;
    let lifetime = Duration::from_millis(30);
    let pool = Clients::pool(&lab.secrets(), "app", habits(LONG), lifetime, &open(&server));
    // More logins than there are places.
    pool.until(|tally| tally.accepted >= 9).await;
    assert_eq!((pool.tally().refused, pool.tally().cut), (0, 0));
    put(&lab, "new");
    server.set("new");
    pool.renewed().await;
    let tally = pool.stop().await;
    // The first refusal renews the copy of all; the others may have been on their way with the old one.
    assert!((1..=3).contains(&tally.refused) && tally.unanswered == 0, "{tally:?}");
    assert_eq!(tally.by_version.len(), 2, "{tally:?}");
}

#[tokio::test]
async fn a_session_that_breaks_is_cut_and_replaced() {
    let (lab, server) = world().await;
    let pool = Clients::pool(&lab.secrets(), "app", habits(LONG), LONG, &open(&server));
    pool.until(|tally| tally.accepted == 3).await;
    put(&lab, "new");
    server.set("new");
    pool.renewed().await;
    let tally = pool.stop().await;
    assert_eq!((tally.accepted, tally.cut, tally.trouble.as_deref()), (6, 3, Some("cut")));
}
