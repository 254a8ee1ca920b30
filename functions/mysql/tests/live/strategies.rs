//! Every strategy on every server, when nothing goes wrong.

use std::sync::Arc;

use lab::rotation::Step;
use lab::servers::{MySql, Release, Tls};
use lab::world::World;
use serde_json::{Value, json};

use super::app::{App, FIRST};

async fn releases() -> Vec<Release> {
    let releases = MySql::releases().await.expect("releases are known");
    assert!(releases.contains(&Release::MYSQL_9) && releases.contains(&Release::MARIADB_10), "{releases:?}");
    releases
}

/// Rotates three times. After each rotation exactly the promised credentials must log in.
async fn three_times(app: &App, world: &World, overlaps: bool) {
    for round in 1..=3 {
        let before = world.current();
        let token =
            world.rotate().await.unwrap_or_else(|error| panic!("round {round}: {error}\n{}", world.output()));
        let current = world.current();
        assert!(app.accepts(&current).await, "round {round}");
        assert_eq!(app.accepts(&before).await, overlaps, "round {round}");
        assert_eq!(current["note"], json!({"kept": [1, 2.50]}));
        assert_eq!(world.lab.secrets().version_with(&world.secret, "AWSCURRENT"), Some(token));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_user_rotates_three_times_in_a_row() {
    for release in releases().await {
        let app = App::new(release).await;
        let world = app.world().await;
        three_times(&app, &world, false).await;
        assert!(!app.has(FIRST).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_rotates_a_user_three_times_in_a_row() {
    for release in releases().await {
        let app = App::new(release).await;
        let world = app.world_as("admin", |_| ()).await;
        three_times(&app, &world, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_take_turns_three_times_in_a_row() {
    for release in releases().await {
        let app = App::new(release).await;
        let world = app.world_as("alternating-users", |_| ()).await;
        three_times(&app, &world, true).await;
        assert_eq!(world.current()["username"], format!("{}_clone", app.user));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_with_two_passwords_rotates_three_times_in_a_row() {
    for release in releases().await {
        let app = App::new(release).await;
        let world = app.world_as("dual-password", |_| ()).await;
        three_times(&app, &world, true).await;
        assert!(!app.has(FIRST).await, "{release}: only two passwords at a time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_rotates_without_tls_where_the_secret_says_ssl_false() {
    for release in releases().await {
        let server = MySql::release(release).tls(Tls::Off).start().await.unwrap();
        let server = Arc::new(server);
        for (strategy, overlaps) in
            [("single-user", false), ("admin", false), ("alternating-users", true), ("dual-password", true)]
        {
            let app = App::on(Arc::clone(&server)).await;
            let plaintext = |secret: &mut Value| secret["ssl"] = json!("False");
            let world = app.world_of(strategy, &[], plaintext, plaintext).await;
            three_times(&app, &world, overlaps).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_can_be_repeated() {
    for release in releases().await {
        for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
            let app = App::new(release).await;
            let world = app.world_as(strategy, |_| ()).await;
            let token = world.begin().unwrap();
            for step in Step::ALL {
                for _ in 0..3 {
                    world
                        .step(&token, step)
                        .await
                        .unwrap_or_else(|error| panic!("{release} {strategy} {}: {error}", step.name()));
                }
            }
            for step in Step::ALL {
                world.step(&token, step).await.unwrap();
            }
            assert!(app.accepts(&world.current()).await, "{release} {strategy}");
        }
    }
}
