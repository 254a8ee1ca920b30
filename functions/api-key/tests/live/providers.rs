//! Three rotations with every built-in provider, each against a service that behaves as its documentation says.

use std::time::Duration;

use serde_json::json;

use super::builtin;
use super::dialect::{ADMIN, APPLICATION};
use super::scene::Scene;

async fn rotates_three_times(name: &str) {
    let setting = builtin::setting(name);
    let field = setting.fields.0.to_owned();
    let scene = Scene::new(setting).await;
    let made_by_hand = scene.world.current()[&field].as_str().unwrap().to_owned();
    // A stranger's key, which must survive everything.
    let stranger = scene.issuer.store().issue("{random}", "somebody else's");
    for round in 1..=3 {
        let before = scene.world.current();
        scene
            .world
            .rotate()
            .await
            .unwrap_or_else(|error| panic!("{name}, rotation {round}: {error}\n{}", scene.world.output()));
        let (current, previous) = (scene.world.current(), scene.world.labelled("AWSPREVIOUS").unwrap());
        assert_ne!(current[&field], before[&field], "{name}");
        assert_eq!(previous[&field], before[&field], "{name}");
        assert_eq!(current["note"], json!({"kept": [1, 2.50]}), "{name}");
        for value in [&current, &previous] {
            assert!(builtin::consume(name, value, scene.issuer.port).await.unwrap(), "{name}, {round}");
        }
    }
    let mut expected = scene.held(&field);
    expected.push(stranger.value);
    if builtin::leaves_the_first_key(name) {
        assert!(scene.world.output().contains("revoke it by hand"), "{name} says nothing of the first key");
        expected.push(made_by_hand);
    }
    expected.sort();
    assert_eq!(scene.issuer.live(), expected, "{name}: what is alive at the end\n{}", scene.world.output());
    for secret in scene.issuer.live().iter().map(String::as_str).chain([ADMIN, APPLICATION]) {
        assert!(!scene.world.output().contains(secret), "{name} has logged a key");
    }
}

/// The cost of later rotations. The first ones have no previous key, or one made by hand, which has to be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_costs_fifteen_calls_at_most_eight_deep_and_two_more_where_an_admin_acts() {
    for (name, most, deepest) in
        [("http", 15, 8), ("newrelic", 15, 8), ("datadog", 17, 10), ("fastly", 17, 10)]
    {
        let scene = Scene::new(builtin::setting(name)).await;
        scene.world.rotate().await.unwrap();
        scene.world.lab.clear_calls();
        scene.world.rotate().await.unwrap();
        let calls: Vec<String> = scene.world.lab.calls().into_iter().map(|call| call.operation).collect();
        assert_eq!(calls.len(), most + 1, "{name}, the first key's turn: {calls:?}");
        // Long enough that simultaneous calls overlap even on a busy machine.
        scene.world.lab.set_latency(Duration::from_millis(300));
        scene.world.lab.clear_calls();
        scene.world.rotate().await.unwrap();
        let calls = scene.world.lab.calls();
        assert_eq!(calls.len(), most, "{name}: {calls:#?}");
        assert!(scene.world.lab.depth() <= deepest, "{name}: {} deep: {calls:#?}", scene.world.lab.depth());
    }
}

/// Services limit how many access tokens a client may request.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_asks_for_one_access_token_at_most() {
    let scene = Scene::new(builtin::setting("mongodb-atlas")).await;
    for _ in 0..3 {
        scene.issuer.store().notes.clear();
        scene.world.rotate().await.unwrap();
        let tokens = scene.issuer.store().notes.len();
        assert_eq!(tokens, 2, "createSecret and finishSecret need one each");
    }
}

builtin::each_overlapping_provider!(rotates_three_times);
