//! The strategy `alternating-users`, when nothing goes wrong.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lab::rotation::Step;
use lab::servers::Postgres;

use super::pair::{Pair, Power};

#[tokio::test(flavor = "multi_thread")]
async fn three_rotations_in_a_row_on_every_version_with_every_admin() {
    for version in Postgres::versions().await.unwrap() {
        for power in [Power::Superuser, Power::CreateRole] {
            let pair = Pair::new(version, power).await;
            let world = pair.world().await;
            let users = [pair.clone_name(), pair.app.user.clone(), pair.clone_name()];
            for user in users {
                let before = world.current();
                world.rotate().await.unwrap_or_else(|error| {
                    panic!("PostgreSQL {version} {power:?}: {error}\n{}", world.output())
                });
                let after = world.current();
                assert_eq!(after["username"], user);
                assert!(pair.accepts(&before).await && pair.accepts(&after).await, "{version} {power:?}");
                let who =
                    pair.as_user(&after, "SELECT session_user || ' as ' || current_user").await.unwrap();
                assert_eq!(who, [format!("{user} as {}", pair.app.user)]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_clients_that_read_the_secret_a_second_ago_are_never_refused() {
    let pair = std::sync::Arc::new(Pair::new(16, Power::CreateRole).await);
    let world = std::sync::Arc::new(pair.world().await);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (pair, world, stop) = (pair.clone(), world.clone(), stop.clone());
        clients.spawn(async move {
            let (mut logins, mut read, mut value) = (0_u32, Instant::now(), world.current());
            while !stop.load(Ordering::Relaxed) {
                if read.elapsed() >= Duration::from_secs(1) {
                    (read, value) = (Instant::now(), world.current());
                }
                let sql = "SELECT current_user";
                assert_eq!(pair.as_user(&value, sql).await.unwrap(), [pair.app.user.as_str()]);
                logins += 1;
            }
            logins
        });
    }
    for round in 0..4 {
        world.rotate().await.unwrap_or_else(|error| panic!("{round}: {error}"));
        // A client may use its copy for a second, and a rotation replaces the version that was current two rotations ago.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let logins: u32 = clients.join_all().await.into_iter().sum();
    println!("{logins} logins, none refused");
    assert!(logins > 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normal_rotation_is_refused_nothing_and_every_step_can_be_repeated() {
    let server = Postgres::version(16).setting("log_connections", "on").start().await.unwrap();
    let pair = Pair::on(server.into(), Power::CreateRole).await;
    let world = pair.world().await;
    for _ in 0..4 {
        world.rotate().await.unwrap();
    }
    let log = pair.app.server.log();
    assert!(
        log.contains("connection authorized") && !log.contains("FATAL") && !log.contains("ERROR"),
        "{log}"
    );
    for _ in 0..3 {
        let token = world.begin().unwrap();
        for step in Step::ALL {
            for _ in 0..2 {
                world.step(&token, step).await.unwrap();
            }
        }
        world.lab.secrets().end_rotation(&world.secret).unwrap();
    }
    assert!(!pair.app.server.log().contains("ERROR"));
}
