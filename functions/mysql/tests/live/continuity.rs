//! Clients that log in all the time with their copy of AWSCURRENT. No client is refused if the strategy promises that.

use std::sync::Arc;
use std::time::Duration;

use lab::continuity::{Attempt, Clients, Habits, Login, Tally};
use lab::servers::MySql;
use serde_json::Value;

use super::app::App;

/// Eight clients, each with a copy of the secret that is at most this old.
const HABITS: Habits = Habits { clients: 8, cache: Duration::from_secs(1), pause: Duration::from_millis(10) };

const STRATEGIES: [(&str, bool); 4] =
    [("single-user", false), ("admin", false), ("alternating-users", true), ("dual-password", true)];

/// Rotates twice under load. Returns the tally of logins and the function's output.
async fn under_load(app: App, strategy: &str) -> (Tally, String) {
    let world = app.world_as(strategy, |_| ()).await;
    let app = Arc::new(app);
    let login: Login = Arc::new(move |value: Value| {
        let app = Arc::clone(&app);
        let text = move |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Box::pin(async move { app.server.can_login(&text("username"), &text("password"), "").await })
            as Attempt
    });
    let clients = Clients::start(&world.lab.secrets(), &world.secret, HABITS, login);
    clients.until(|tally| tally.logins() >= 2 * HABITS.clients as u64).await;
    for _ in 0..2 {
        world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
        clients.renewed().await;
    }
    (clients.stop().await, world.output())
}

/// The numbers under a key in the function's log lines, rounded down.
fn numbers(output: &str, key: &str) -> Vec<f64> {
    let number = |line: &str| Some(serde_json::from_str::<Value>(line).ok()?[key].as_f64()?.floor());
    output.lines().filter_map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn overlap_strategies_lose_no_login_and_the_others_say_how_long_they_refuse() {
    for release in MySql::releases().await.unwrap() {
        let server: Arc<MySql> =
            MySql::release(release).setting("max_connections", "200").start().await.unwrap().into();
        for (strategy, overlaps) in STRATEGIES {
            let (tally, output) = under_load(App::on(server.clone()).await, strategy).await;
            println!("{}", tally.line(&release.to_string(), strategy));
            assert_eq!((tally.unanswered, &tally.trouble), (0, &None), "{release} {strategy}");
            assert_eq!(tally.by_version.len(), 3, "{release} {strategy}: {tally:?}");
            if overlaps {
                assert_eq!(tally.refused, 0, "{release} {strategy}: {tally:?}");
                continue;
            }
            let (logged, measured) =
                (numbers(&output, "downtime_ms"), numbers(&output, "DowntimeMilliseconds"));
            println!("{release} {strategy}: gaps of {logged:?} ms by its own account");
            assert_eq!((logged.len(), &logged), (2, &measured), "{output}");
        }
    }
}
