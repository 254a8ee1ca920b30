//! The strategies `single-user` and `admin`, when nothing goes wrong.

use lab::rotation::Step;
use lab::servers::{Redshift, Tls};
use serde_json::json;

use super::app::{App, FIRST};

#[tokio::test(flavor = "multi_thread")]
async fn three_rotations_in_a_row_by_the_user_and_by_an_admin() {
    for strategy in ["single-user", "admin"] {
        let app = App::new().await;
        let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let mut passwords = vec![FIRST.to_owned()];
        for _ in 0..3 {
            let before = world.current();
            world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}\n{}", world.output()));
            let current = world.current();
            assert!(app.accepts(&current).await && !app.accepts(&before).await);
            assert_eq!(
                (&current["username"], &current["note"]),
                (&json!(app.user), &json!({"kept": [1, 2.50]}))
            );
            let password = current["password"].as_str().unwrap().to_owned();
            assert!(password.len() == 32 && !passwords.contains(&password));
            passwords.push(password);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_admin_the_user_changes_its_own_password() {
    let app = App::new().await;
    let world = app.world().await;
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_costs_fifteen_calls_at_most_eight_deep() {
    let app = App::new().await;
    let world = app.world().await;
    world.lab.set_latency(std::time::Duration::from_millis(300));
    world.rotate().await.unwrap();
    let calls: Vec<String> = world.lab.calls().into_iter().map(|call| call.operation).collect();
    assert!(calls.len() <= 15, "{} calls: {calls:?}", calls.len());
    assert!(world.lab.depth() <= 8, "{} deep: {:#?}", world.lab.depth(), world.lab.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn ssl_false_is_obeyed_and_anything_else_means_tls() {
    // AWS's function ignores the field, and uses whatever the server offers.
    let server = std::sync::Arc::new(Redshift::start(Tls::Off).await.unwrap());
    for spelling in [json!(false), json!("False")] {
        let app = App::on(server.clone()).await;
        let world = app.world_with(&[], |secret| secret["ssl"] = spelling).await;
        world.rotate().await.unwrap();
        assert!(app.accepts(&world.current()).await);
    }
    let app = App::on(server).await;
    for spelling in [json!(null), json!(true), json!("no"), json!(0)] {
        let world = app.world_with(&[], |secret| secret["ssl"] = spelling).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.contains("Unreachable:") && error.contains("does not offer TLS"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_can_be_repeated() {
    for strategy in ["single-user", "admin", "alternating-users"] {
        let app = App::new().await;
        let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let token = world.begin().unwrap();
        for step in Step::ALL {
            for _ in 0..3 {
                world.step(&token, step).await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
            }
        }
        for step in Step::ALL {
            world.step(&token, step).await.unwrap();
        }
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_user_names_rotate() {
    let server = Redshift::shared(Tls::Good).await.unwrap();
    // With one letter and the second user's ending, the longest name that fits into the PostgreSQL behind the stand-in.
    let longest = "x".repeat(56);
    let names = [
        "UPPER",
        "with space",
        "quo\"te",
        "apo'strophe",
        "back\\slash",
        "per%cent",
        "semi;colon",
        "Ünïcödé",
        "$1",
        "a:b",
        &longest,
    ];
    for name in names {
        for strategy in ["single-user", "alternating-users"] {
            let name = &format!("{name}{}", &strategy[..1]);
            let app = App::named(server.clone(), name).await;
            let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
            for _ in 0..2 {
                world.rotate().await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
            }
            assert!(app.accepts(&world.current()).await, "{name:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_longer_than_redshifts_limit_is_refused_before_anything_is_made() {
    let app = App::new().await;
    for (length, strategy) in [(128, "single-user"), (122, "alternating-users")] {
        let world = app.pair_world_with(&[], |secret| {
            secret["username"] = "x".repeat(length).into();
            secret["strategy"] = strategy.into();
        });
        let world = world.await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("createSecret: BadSecret:") && error.contains("limit is 127"), "{error}");
        assert_eq!(world.labelled("AWSPENDING"), None);
    }
}
