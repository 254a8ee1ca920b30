//! Thousands of rotations of many secrets with one lab, one function, one PostgreSQL: nothing grows, and nothing gets slower.
//!
//! `cargo xtask soak` runs ten thousand of them and prints the table. With the other tests it runs a hundred, which checks that
//! it still works.

#![expect(clippy::unwrap_used, reason = "all of this is one test: a panic is its failure")]

use std::env;
use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::Lab;
use lab::runtime::Function;
use lab::servers::Postgres;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const FUNCTION: &str = "rotate-postgres";
/// How many rotations run at a time, each in its own process of the function.
const AT_ONCE: usize = 2;
/// How many parts the run has, each with a measurement.
const PARTS: usize = 10;
const FIRST: &str = "F1rst-0f-th0us4nds";

/// The resources that a process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    kilobytes: u64,
    threads: u64,
    files: usize,
}

impl Held {
    fn by(process: &str) -> Option<Held> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().split(' ').next()?.parse().ok()
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
        Some(Held { kilobytes: number("VmRSS:")?, threads: number("Threads:")?, files })
    }

    /// The resources that all processes of the function hold together.
    fn by_functions() -> Held {
        let own = format!("PPid:\t{}\n", std::process::id());
        let mut sum = Held::default();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let process = entry.file_name().to_string_lossy().into_owned();
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if status.starts_with(&format!("Name:\t{FUNCTION}\n"))
                && status.contains(&own)
                && let Some(held) = Held::by(&process)
            {
                sum.kilobytes += held.kilobytes;
                sum.threads += held.threads;
                sum.files += held.files;
            }
        }
        sum
    }
}

/// The measurements at the end of a part, while no rotation is running.
#[derive(Clone, Copy, Debug)]
struct Look {
    rotations: usize,
    median: Duration,
    function: Held,
    lab: Held,
    tasks: usize,
    connections: usize,
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Look { rotations, median, function, lab, tasks, connections } = self;
        let megabytes = |held: &Held| held.kilobytes as f64 / 1024.0;
        let (ms, memory, own) = (median.as_secs_f64() * 1e3, megabytes(function), megabytes(lab));
        write!(
            f,
            "{rotations:>9} {ms:>7.1} ms {memory:>8.1} MB {:>6} {:>6} {own:>8.1} MB {:>6} {tasks:>6} {connections:>12}",
            function.threads, function.files, lab.files
        )
    }
}

struct Soak {
    lab: Arc<Lab>,
    server: Postgres,
    secrets: Vec<String>,
}

impl Soak {
    async fn new(secrets: usize) -> Soak {
        let server = Postgres::version(Postgres::any()).start().await.unwrap();
        let lab = Lab::start(Default::default()).await.unwrap();
        let binary = Function::build(FUNCTION).unwrap();
        let function = Function::new(FUNCTION, [binary]).env("SECRETS_MANAGER_ENDPOINT", lab.endpoint());
        lab.attach(FUNCTION, Arc::new(function.start().await.unwrap()));
        let names: Vec<String> = (0..secrets).map(|number| format!("soak{number}")).collect();
        for name in &names {
            server.execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{FIRST}'")).await.unwrap();
            let value = json!({
                "engine": "postgres", "host": server.host(), "port": server.port(), "username": name,
                "password": FIRST, "sslrootcert": server.ca_pem(),
            });
            lab.secrets().create(name, &value.to_string()).unwrap();
            lab.secrets().enable_rotation(name, FUNCTION).unwrap();
        }
        Soak { lab: Arc::new(lab), server, secrets: names }
    }

    /// Runs these rotations, taking the secrets in turn, and returns how long each took.
    async fn rotate(&self, rotations: std::ops::Range<usize>) -> Vec<Duration> {
        let mut workers = JoinSet::new();
        for worker in 0..AT_ONCE {
            let share = rotations.clone().skip(worker).step_by(AT_ONCE);
            let names: Vec<String> =
                share.map(|number| self.secrets[number % self.secrets.len()].clone()).collect();
            let lab = Arc::clone(&self.lab);
            workers.spawn(async move {
                let mut took = Vec::with_capacity(names.len());
                for name in names {
                    let started = Instant::now();
                    let rotation = lab.rotate(&name).await.unwrap();
                    assert!(rotation.succeeded() && rotation.steps.len() == 4, "{rotation:?}");
                    took.push(started.elapsed());
                }
                took
            });
        }
        workers.join_all().await.concat()
    }

    async fn look(&self, rotations: usize, mut took: Vec<Duration>) -> Look {
        // The call log is for tests, which have to clear it.
        self.lab.clear_calls();
        took.sort();
        Look {
            rotations,
            median: took[took.len() / 2],
            function: Held::by_functions(),
            lab: Held::by("self").unwrap(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            connections: self.connections().await,
        }
    }

    /// The number of other sessions at the server. A session that was just closed takes a moment to end.
    async fn connections(&self) -> usize {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let mut count = usize::MAX;
        for _ in 0..100 {
            count = self.server.query(sql).await.unwrap()[0][0].as_ref().unwrap().parse().unwrap();
            if count == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        count
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_grows_and_nothing_gets_slower() {
    let rotations: usize =
        env::var("TURNLOCK_ROTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(100);
    let part = (rotations / PARTS).max(2 * AT_ONCE);
    let soak = Soak::new((part / 5).clamp(AT_ONCE, 200)).await;
    println!("{} rotations of {} secrets, {AT_ONCE} at a time", part * PARTS, soak.secrets.len());
    println!("rotations     median    function  threads files         lab  files  tasks  connections");
    let mut looks = Vec::new();
    for number in 0..PARTS {
        let took = soak.rotate(part * number..part * (number + 1)).await;
        looks.push(soak.look(part * (number + 1), took).await);
        println!("{}", looks[number]);
    }
    let (first, last) = (looks[0], looks[PARTS - 1]);
    assert_eq!(last.connections, 0, "sessions are left open at the server");
    // Connections that are kept for reuse come and go.
    assert!(last.function.files <= first.function.files + 4, "files are left open: {first:?}, {last:?}");
    assert!(last.function.threads <= first.function.threads, "threads: {first:?}, {last:?}");
    assert!(last.lab.files <= first.lab.files + 4 && last.tasks <= first.tasks + 4, "{first:?}, {last:?}");
    let grown = |before: Held, after: Held| after.kilobytes.saturating_sub(before.kilobytes);
    // The runtime client sets `_X_AMZN_TRACE_ID` for each invocation, and the C library never frees an old value: 0.7 kB a
    // rotation.
    let between = (part * (PARTS - 1)) as u64;
    let traces = between * 3 / 4;
    let most = 2_048 + first.function.kilobytes / 10 + traces;
    assert!(grown(first.function, last.function) < most, "the function grows: {first:?}, {last:?}");
    // The lab keeps every version, as the service does for a day. A value with the certificate has two kilobytes.
    let kept = 4 * between;
    assert!(grown(first.lab, last.lab) < 8_192 + kept, "the lab grows: {first:?}, {last:?}");
    // The times of a short run vary too much.
    if rotations >= 2_000 {
        assert!(last.median < first.median * 3 / 2, "it gets slower: {first:?}, {last:?}");
    }
    for name in &soak.secrets {
        let value: Value =
            serde_json::from_str(&soak.lab.secrets().value(name, "AWSCURRENT").unwrap()).unwrap();
        let password = value["password"].as_str().unwrap();
        assert!(password != FIRST && soak.server.can_login(name, password, "postgres").await.unwrap());
    }
}
