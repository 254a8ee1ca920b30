//! Accounts with many host parts, and with grants on thousands of tables. `TURNLOCK_SCALE` is the number of them; docs/scale.md has
//! the figures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::Options;
use lab::proxy::{Direction, Protocol, Proxy};
use lab::rotation::Step;
use lab::runtime::Function;
use lab::servers::{MySql, Release};
use lab::world::World;
use serde_json::{Value, json};

use super::app::{App, FIRST, account, unique};

/// An account, its admin, and a proxy that counts what is said to the server.
struct Crowd {
    app: App,
    world: World,
    proxy: Proxy,
}

impl Crowd {
    async fn new(app: App, change: impl FnOnce(&mut Value)) -> Crowd {
        let proxy =
            Proxy::start(Protocol::MySql, app.server.host(), app.server.port()).await.expect("it is done");
        let lead = |secret: &mut Value| {
            secret["port"] = proxy.port().into();
            secret["ssl"] = false.into();
        };
        let (mut secret, mut admin) = (app.secret(), app.admin().await);
        lead(&mut secret);
        lead(&mut admin);
        secret["masterarn"] = "prod/admin".into();
        change(&mut secret);
        let package = "rotate-mysql";
        let function = Function::new(package, [Function::build(package).expect("it is done")])
            .timeout(Duration::from_secs(600));
        let world = World::of(Options::default(), function, &secret).await.expect("it is done");
        world.lab.secrets().create("prod/admin", &admin.to_string()).expect("it is done");
        Crowd { app, world, proxy }
    }

    /// Rotates, and returns what setSecret and testSecret cost together.
    async fn rotate(&self) -> Cost {
        let token = self.world.begin().expect("it is done");
        self.world.step(&token, Step::CreateSecret).await.expect("it is done");
        self.proxy.clear();
        let began = Instant::now();
        self.world.step(&token, Step::SetSecret).await.expect("it is done");
        let set = began.elapsed();
        self.world.step(&token, Step::TestSecret).await.expect("it is done");
        let test = began.elapsed() - set;
        let messages = self.proxy.messages();
        let sent = messages.iter().filter(|message| message.place.direction == Direction::ToServer);
        let cost = Cost { set, test, messages: sent.count() };
        self.world.step(&token, Step::FinishSecret).await.expect("it is done");
        cost
    }
}

struct Cost {
    set: Duration,
    test: Duration,
    messages: usize,
}

/// The number of objects that a test makes.
fn size(usual: usize) -> usize {
    std::env::var("TURNLOCK_SCALE").map_or(usual, |size| size.parse().expect("TURNLOCK_SCALE is a number"))
}

#[expect(clippy::print_stdout, reason = "shows the figures of docs/scale.md")]
fn print(what: &str, release: Release, count: usize, cost: &Cost) {
    let (set, test) = (cost.set.as_secs_f64(), cost.test.as_secs_f64());
    println!("| {what}, {release} | {count} | {set:.1} s | {test:.1} s | {} |", cost.messages);
}

/// Ten privileges on a table.
const PRIVILEGES: &str = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, TRIGGER";

/// Runs statements, some hundred at a time.
async fn execute(server: &MySql, statements: impl Iterator<Item = String>) {
    for statements in Vec::from_iter(statements).chunks(200) {
        server.execute(&statements.join("; ")).await.expect("it is done");
    }
}

async fn many_hosts(release: Release, strategy: &str, count: usize) -> Cost {
    let server = Arc::new(MySql::release(release).start().await.expect("it is done"));
    let app = App::named(server, &unique("app"), "localhost").await;
    let hosts = Vec::from_iter((0..count).map(|number| format!("10.{}.{}.%", number / 250, number % 250)));
    execute(
        &app.server,
        hosts.iter().map(|host| format!("CREATE USER {} IDENTIFIED BY '{FIRST}'", account(&app.user, host))),
    )
    .await;
    execute(
        &app.server,
        hosts.iter().map(|host| format!("GRANT SELECT ON mysql.help_topic TO {}", account(&app.user, host))),
    )
    .await;
    let crowd = Crowd::new(app, |secret| {
        let mut all = hosts.clone();
        all.push("localhost".to_owned());
        secret["hosts"] = json!(all);
        secret["strategy"] = strategy.into();
    });
    let crowd = crowd.await;
    if !crowd.app.is_mariadb() {
        let mark =
            json!({"turnlock": crowd.world.lab.secrets().arn(&crowd.world.secret).expect("it is done")});
        let mark =
            |host: &String| format!("ALTER USER {} ATTRIBUTE '{mark}'", account(&crowd.app.user, host));
        execute(&crowd.app.server, hosts.iter().map(mark)).await;
    }
    let cost = crowd.rotate().await;
    print(&format!("host parts, {strategy}"), release, count, &cost);
    cost
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_of_many_host_parts_are_read_together() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        let count = size(60);
        for strategy in ["alternating-users", "admin"] {
            let cost = many_hosts(release, strategy, count).await;
            // Each account is described, made, and opened. Its grants are read with those of a hundred others.
            assert!(cost.messages < 40 + count * 10, "{release} {strategy}: {} messages", cost.messages);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_on_many_tables_are_given_and_taken_in_batches() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        let (count, server) = (size(600), MySql::release(release).start().await.expect("a server starts"));
        let app = App::named(Arc::new(server), &unique("app"), "localhost").await;
        let grant = |number| format!("GRANT {PRIVILEGES} ON many.t{number} TO {}", app.account());
        execute(&app.server, ["CREATE DATABASE many".to_owned()].into_iter()).await;
        execute(&app.server, (0..count).map(|number| format!("CREATE TABLE many.t{number} (x int)"))).await;
        execute(&app.server, (0..count).map(grant)).await;
        // Grants outlive their tables. Then each cannot be given, and only it.
        execute(&app.server, (0..3).map(|number| format!("DROP TABLE many.t{}", number * 97))).await;
        let crowd = Crowd::new(app, |secret| secret["strategy"] = "alternating-users".into()).await;
        let given = crowd.rotate().await;
        print("grants on tables are given", release, 10 * count, &given);
        assert!(given.messages < 150 + count / 50, "{release}: {} messages", given.messages);
        crowd.rotate().await;
        let take = |number| format!("REVOKE INSERT ON many.t{number} FROM {}", crowd.app.account());
        execute(&crowd.app.server, (0..count).map(take)).await;
        let taken = crowd.rotate().await;
        print("grants on tables are taken away", release, count, &taken);
        assert!(taken.messages < 150 + count / 50, "{release}: {} messages", taken.messages);
        let words = "the original has a grant on something that is gone";
        assert_eq!(crowd.world.output().matches(words).count() % 3, 0, "{}", crowd.world.output());
    }
}
