//! Clients that log in all the time with AWSCURRENT as they last read it: none is refused where the strategy promises that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lab::servers::MySql;

use super::app::App;

/// As many as issue 5 asks for, each with a copy of the secret up to this old.
const CLIENTS: usize = 8;
const COPY: Duration = Duration::from_secs(1);

/// Rotates twice under load; how many logins there were, and how many were refused.
async fn under_load(app: App, strategy: &str) -> (usize, usize, String) {
    let app = Arc::new(app);
    let world = Arc::new(app.world_as(strategy, |_| ()).await);
    let (stop, logins, refused) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let client = || {
        let (app, world, stop) = (app.clone(), world.clone(), stop.clone());
        let (logins, refused) = (logins.clone(), refused.clone());
        tokio::spawn(async move {
            let (mut copy, mut read) = (world.current(), Instant::now());
            while !stop.load(Ordering::SeqCst) {
                if read.elapsed() > COPY {
                    (copy, read) = (world.current(), Instant::now());
                }
                let accepted = app.accepts(&copy).await;
                logins.fetch_add(1, Ordering::SeqCst);
                refused.fetch_add(usize::from(!accepted), Ordering::SeqCst);
            }
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| client()).collect();
    for _ in 0..2 {
        world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
        // The next rotation begins when no copy is from before this one, as with any real schedule.
        let done = logins.load(Ordering::SeqCst);
        tokio::time::sleep(COPY).await;
        while logins.load(Ordering::SeqCst) < done + 2 * CLIENTS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("the client runs to its end");
    }
    (logins.load(Ordering::SeqCst), refused.load(Ordering::SeqCst), world.output())
}

#[tokio::test(flavor = "multi_thread")]
async fn overlap_strategies_lose_no_login_and_the_others_say_how_long_they_refuse() {
    for release in MySql::releases().await.unwrap() {
        let server: Arc<MySql> =
            MySql::release(release).setting("max_connections", "200").start().await.unwrap().into();
        for strategy in ["dual-password", "alternating-users"] {
            let (logins, refused, _) = under_load(App::on(server.clone()).await, strategy).await;
            println!("{release} {strategy}: {logins} logins, {refused} refused");
            assert!(
                logins > CLIENTS && refused == 0,
                "{release} {strategy}: {refused} of {logins} were refused"
            );
        }
        let (logins, refused, output) = under_load(App::on(server.clone()).await, "single-user").await;
        let gaps: Vec<u64> = output
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["downtime_ms"].as_u64())
            .collect();
        println!("{release} single-user: {logins} logins, {refused} refused, gaps of {gaps:?} ms");
        assert_eq!(gaps.len(), 2, "{output}");
    }
}
