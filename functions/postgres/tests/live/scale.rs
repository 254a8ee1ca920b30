//! Accounts with thousands of tables and privileges. `TURNLOCK_SCALE` is the number of objects; docs/scale.md has the figures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::Options;
use lab::proxy::{Direction, Proxy};
use lab::rotation::Step;
use lab::runtime::Function;
use lab::servers::Postgres;
use lab::world::World;

use super::pair::{ADMIN_SECRET, Pair, Power};
use super::sweep::Ground;

const GROUND: Ground = Ground { version: 18, tls: false };

/// A pair whose second user exists, and a proxy that counts what is said to the server.
struct Crowd {
    pair: Pair,
    world: World,
    proxy: Arc<Proxy>,
}

/// What one step cost.
struct Cost {
    time: Duration,
    messages: usize,
}

impl Crowd {
    async fn new() -> Crowd {
        let server = Arc::new(Postgres::version(GROUND.version).start().await.unwrap());
        let proxy = GROUND.proxy(&server).await.unwrap();
        let pair = Pair::on(server, Power::Superuser).await;
        let mut secret = pair.app.secret();
        secret["masterarn"] = ADMIN_SECRET.into();
        GROUND.lead(&mut secret, &proxy);
        let package = "rotate-postgres";
        let function =
            Function::new(package, [Function::build(package).unwrap()]).timeout(Duration::from_secs(300));
        let world = World::of(Options::default(), function, &secret).await.unwrap();
        pair.add_admin(&world, ADMIN_SECRET, |admin| GROUND.lead(admin, &proxy));
        world.rotate().await.unwrap();
        world.rotate().await.unwrap();
        Crowd { pair, world, proxy }
    }

    /// Makes tables, each with a privilege for this user.
    async fn tables(&self, schema: &str, count: usize, user: &str) {
        let server = &self.pair.app.server;
        server
            .execute(&format!("CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO PUBLIC"))
            .await
            .unwrap();
        for numbers in Vec::from_iter(0..count).chunks(500) {
            let make = |number| {
                format!(
                    "CREATE TABLE {schema}.t{number} (x int); GRANT SELECT ON {schema}.t{number} TO {user}"
                )
            };
            server.execute(&Vec::from_iter(numbers.iter().map(make)).join("; ")).await.unwrap();
        }
    }

    /// Rotates, and returns the costs of setSecret and testSecret.
    async fn rotate(&self) -> [Cost; 2] {
        let token = self.world.begin().unwrap();
        self.world.step(&token, Step::CreateSecret).await.unwrap();
        let costs = [self.cost(&token, Step::SetSecret).await, self.cost(&token, Step::TestSecret).await];
        self.world.step(&token, Step::FinishSecret).await.unwrap();
        costs
    }

    async fn cost(&self, token: &str, step: Step) -> Cost {
        self.proxy.clear();
        let began = Instant::now();
        self.world.step(token, step).await.unwrap();
        let time = began.elapsed();
        let messages = self.proxy.messages();
        let sent = messages.iter().filter(|message| message.place.direction == Direction::ToServer);
        Cost { time, messages: sent.count() }
    }
}

/// The number of objects that a test makes.
fn size(usual: usize) -> usize {
    std::env::var("TURNLOCK_SCALE").map_or(usual, |size| size.parse().expect("TURNLOCK_SCALE is a number"))
}

#[expect(clippy::print_stdout, reason = "shows the figures of docs/scale.md")]
fn print(what: &str, count: usize, [set, test]: &[Cost; 2]) {
    println!(
        "| {what} | {count} | {:.1} s, {} messages | {:.1} s, {} messages |",
        set.time.as_secs_f64(),
        set.messages,
        test.time.as_secs_f64(),
        test.messages
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_privileges_are_taken_back_in_batches() {
    let (crowd, count) = (Crowd::new().await, size(2000));
    let clone = crowd.pair.clone_name();
    let usual = crowd.rotate().await;
    crowd.tables("many", count, &clone).await;
    // The privilege that the second user has passed on keeps its own from being revoked, in whatever batch it stands.
    let (server, someone) = (&crowd.pair.app.server, format!("someone_{}", crowd.pair.app.user));
    let passed_on = format!(
        "CREATE ROLE {someone}; GRANT SELECT ON many.t77 TO {clone} WITH GRANT OPTION; \
         SET ROLE {clone}; GRANT SELECT ON many.t77 TO {someone}; RESET ROLE"
    );
    server.execute(&passed_on).await.unwrap();
    crowd.world.rotate().await.unwrap();
    let costs = crowd.rotate().await;
    print("privileges of the second user's own are taken back", count, &costs);
    // One turn takes 5,000 away.
    for _ in 0..(count - 1) / 5000 {
        crowd.world.rotate().await.unwrap();
        crowd.world.rotate().await.unwrap();
    }
    let left = "SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c, aclexplode(c.relacl) AS a \
                JOIN pg_roles r ON r.oid = a.grantee WHERE r.rolname = ";
    let left = crowd.pair.value(&format!("{left}'{clone}'")).await;
    assert_eq!(left.as_deref(), Some("many.t77"));
    assert!(crowd.world.output().contains("REVOKE ALL ON TABLE many.t77 FROM"), "{}", crowd.world.output());
    let more = costs[0].messages - usual[0].messages;
    assert!(more <= 40 + count / 100, "{more} messages more for {count} privileges");
}
