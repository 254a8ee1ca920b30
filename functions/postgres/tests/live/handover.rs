//! Objects of a clone become the original's while clients use them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lab::Options;
use lab::runtime::Function;
use lab::servers::Postgres;
use lab::world::World;

use super::app::App;
use super::pair::{ADMIN_SECRET, Pair, Power};

const CLONE_PASSWORD: &str = "C1one-pa55-of-aws";

/// A clone made as AWS's function makes it, which is in use and owns tables with primary keys.
async fn clone_with_tables(tables: u32) -> (Pair, World) {
    clone_in_a_hurry(tables, Duration::from_secs(30)).await
}

/// The same, where a step has this much time.
async fn clone_in_a_hurry(tables: u32, time: Duration) -> (Pair, World) {
    let pair = Pair::on(Arc::new(Postgres::version(18).start().await.unwrap()), Power::CreateRole).await;
    let (App { server, user: app, .. }, clone) = (&pair.app, pair.clone_name());
    let admin = server.connect(&pair.admin, &pair.admin_password, "postgres").await.unwrap();
    let made = format!("CREATE ROLE {clone} LOGIN PASSWORD '{CLONE_PASSWORD}'; GRANT {app} TO {clone}");
    admin.batch_execute(&made).await.unwrap();
    server.execute(&format!("CREATE SCHEMA s; GRANT ALL ON SCHEMA s TO {app}")).await.unwrap();
    let client = server.connect(&clone, CLONE_PASSWORD, "postgres").await.unwrap();
    let numbers = Vec::from_iter(0..tables);
    // In pieces, because one transaction cannot hold the locks of all.
    for numbers in numbers.chunks(500) {
        let make = |number| format!("CREATE TABLE s.t{number} (id serial PRIMARY KEY, x int)");
        client.batch_execute(&Vec::from_iter(numbers.iter().map(make)).join("; ")).await.unwrap();
    }
    let package = "rotate-postgres";
    let function = Function::new(package, [Function::build(package).unwrap()]).timeout(time);
    let mut secret = pair.app.secret();
    secret["masterarn"] = ADMIN_SECRET.into();
    let world = World::of(Options::default(), function, &secret).await.unwrap();
    pair.add_admin(&world, ADMIN_SECRET, |_| ());
    let mut value = world.current();
    value["username"] = clone.into();
    value["password"] = CLONE_PASSWORD.into();
    world.put("00000000-0000-4000-8000-0000000000aa", &value, "AWSCURRENT").unwrap();
    (pair, world)
}

async fn owned_by(pair: &Pair, user: &str) -> String {
    let sql =
        format!("SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'S') AND relowner = '{user}'::regrole");
    pair.value(&sql).await.unwrap()
}

/// A client that reads and writes until it is told to stop, and returns how long it waited at most.
async fn client(pair: Arc<Pair>, first: u32, tables: u32, stop: Arc<AtomicBool>) -> Duration {
    let session = pair.app.server.connect(&pair.clone_name(), CLONE_PASSWORD, "postgres").await.unwrap();
    let (mut longest, mut number) = (Duration::ZERO, first);
    while !stop.load(Ordering::Relaxed) {
        // A step that shares no factor with the number of tables, so that every table has its turn.
        number = (number + 1237) % tables;
        let began = Instant::now();
        let sql = format!("INSERT INTO s.t{number} (x) VALUES (1); SELECT count(*) FROM s.t{number}");
        session.batch_execute(&sql).await.unwrap();
        longest = longest.max(began.elapsed());
    }
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_tables_change_hands_while_four_clients_read_and_write() {
    let tables = 5000;
    let (pair, world) = clone_with_tables(tables).await;
    let (pair, stop) = (Arc::new(pair), Arc::new(AtomicBool::new(false)));
    let clients = Vec::from_iter(
        (0..4)
            .map(|number| tokio::spawn(client(Arc::clone(&pair), number * 1000, tables, Arc::clone(&stop)))),
    );
    let began = Instant::now();
    let rotated = world.rotate().await;
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut longest = Duration::ZERO;
    for client in clients {
        longest = longest.max(client.await.unwrap());
    }
    rotated.unwrap();
    println!("{tables} tables changed hands in {took:.1?}; a client waited {longest:.2?} at most");
    // A batch holds a lock for a second at most, and a single object is waited for that long at most.
    assert!(longest < Duration::from_secs(2), "a client waited {longest:?}");
    assert_eq!(owned_by(&pair, &pair.clone_name()).await, "0");
    assert_eq!(owned_by(&pair, &pair.app.user).await, (2 * tables).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_a_long_transaction_stops_the_rotation_and_the_next_try_goes_on() {
    let (pair, world) = clone_with_tables(100).await;
    let mut session = pair.app.server.connect(&pair.clone_name(), CLONE_PASSWORD, "postgres").await.unwrap();
    let transaction = session.transaction().await.unwrap();
    transaction.batch_execute("SELECT * FROM s.t7").await.unwrap();
    let error = world.rotate().await.unwrap_err();
    assert!(error.contains("Conflict") && error.contains("ALTER TABLE s.t7 OWNER TO"), "{error}");
    // The others have changed hands, and the clone still works.
    assert_eq!(owned_by(&pair, &pair.clone_name()).await, "2");
    transaction
        .batch_execute("INSERT INTO s.t7 (x) VALUES (1); INSERT INTO s.t8 (x) VALUES (1)")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap();
    assert_eq!(owned_by(&pair, &pair.clone_name()).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_that_outlasts_its_step_is_a_conflict_and_the_next_tries_finish_it() {
    // With less time than the rest of a step needs, each try hands over one batch of 20.
    let (pair, world) = clone_in_a_hurry(50, Duration::from_secs(8)).await;
    let error = world.rotate().await.unwrap_err();
    let told = ["setSecret: Conflict", "not all of 50 objects", "the next try goes on with what is left"];
    assert!(told.iter().all(|part| error.contains(part)), "{error}");
    assert_eq!(owned_by(&pair, &pair.clone_name()).await, "60");
    assert!(pair.accepts(&world.current()).await);
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    let mut tries = 1;
    while let Err(error) = world.steps(&token).await {
        assert!(error.contains("setSecret: Conflict"), "{error}");
        tries += 1;
    }
    assert_eq!((tries, owned_by(&pair, &pair.clone_name()).await.as_str()), (2, "0"));
    assert!(pair.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_the_original_may_not_create_in_stops_no_hand_over() {
    let (pair, world) = clone_with_tables(3).await;
    let (app, clone, server) = (&pair.app.user, pair.clone_name(), &pair.app.server);
    let narrowed =
        format!("GRANT CREATE, USAGE ON SCHEMA s TO {clone}; REVOKE CREATE ON SCHEMA s FROM {app}");
    server.execute(&narrowed).await.unwrap();
    // `ALTER TABLE ... OWNER` would ask for that right, `REASSIGN OWNED` does not. What clients would lack is testSecret's to say.
    let error = world.rotate().await.unwrap_err();
    assert!(
        error.contains("testSecret: ServerRefused") && error.contains("GRANT CREATE ON SCHEMA s"),
        "{error}"
    );
    assert_eq!(owned_by(&pair, &clone).await, "0");
    assert_eq!(owned_by(&pair, app).await, "6");
}
