//! Clients that use AWSCURRENT in a loop, with copies as old as caches keep them. With every built-in provider whose old key
//! keeps working, none is refused. With the others, exactly the documented exception happens.

use std::sync::Arc;
use std::time::Duration;

use lab::continuity::{Clients, Habits, Tally};
use lab::rotation::Step;
use serde_json::Value;

use super::scene::Scene;
use super::{builtin, oauth, own_keys};

/// Starts clients that use a secret's keys at a service.
fn clients(scene: &Scene, name: &'static str) -> Clients {
    let port = scene.issuer.port;
    let habits = Habits { clients: 4, cache: Duration::from_millis(100), pause: Duration::from_millis(5) };
    let login = move |secret: Value| {
        Box::pin(async move { builtin::consume(name, &secret, port).await }) as lab::continuity::Attempt
    };
    Clients::start(&scene.world.lab.secrets(), &scene.world.secret, habits, Arc::new(login))
}

/// Rotates this many times, with time for every client to use every version.
async fn rotations(scene: &Scene, clients: &Clients, count: usize) {
    for _ in 0..count {
        scene.world.rotate().await.unwrap();
        clients.renewed().await;
    }
}

#[track_caller]
fn nobody_was_refused(tally: &Tally, versions: usize) {
    assert_eq!((tally.refused, tally.unanswered), (0, 0), "{tally:?}");
    assert_eq!(tally.by_version.len(), versions, "{tally:?}");
}

async fn nobody_is_refused(name: &'static str) {
    let scene = Scene::new(builtin::setting(name)).await;
    // The service is slow, so that logins happen at every moment of a rotation.
    scene.issuer.latency(Duration::from_millis(10));
    let clients = clients(&scene, name);
    rotations(&scene, &clients, 3).await;
    nobody_was_refused(&clients.stop().await, 4);
}

builtin::each_overlapping_provider!(nobody_is_refused);

/// An access token expires by itself, and nobody revokes it earlier, so its clients are not refused either. The promise does not
/// cover the grant (see `sweep`).
#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_work_until_they_run_out() {
    let scene = oauth::scene(oauth::strict).await;
    let clients = clients(&scene, "oauth-refresh");
    rotations(&scene, &clients, 3).await;
    nobody_was_refused(&clients.stop().await, 4);
}

/// If a service allows one key, clients are refused from createSecret to finishSecret, and at no other time.
#[tokio::test(flavor = "multi_thread")]
async fn where_one_key_is_allowed_clients_are_refused_from_create_secret_to_finish_secret() {
    let scene = own_keys::one_key_scene().await;
    let token = scene.world.begin().unwrap();
    let accepts =
        || async { builtin::consume("http", &scene.world.current(), scene.issuer.port).await.unwrap() };
    assert!(accepts().await);
    for step in Step::ALL {
        scene.world.step(&token, step).await.unwrap();
        assert_eq!(accepts().await, step == Step::FinishSecret, "after {}", step.name());
    }
}
