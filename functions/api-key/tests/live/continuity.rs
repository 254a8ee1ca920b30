//! Clients that use AWSCURRENT, or a copy of it as old as the last rotation, are never refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn no_client_is_refused_during_rotations() {
    let scene = Arc::new(Scene::plain().await);
    let over = Arc::new(AtomicBool::new(false));
    let (asked, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for patience in [1, 5, 50] {
        let (scene, over) = (Arc::clone(&scene), Arc::clone(&over));
        let (asked, refused) = (Arc::clone(&asked), Arc::clone(&refused));
        clients.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                // A client's cached copy is used for a while.
                let copy = scene.world.current();
                for _ in 0..patience {
                    asked.fetch_add(1, Ordering::Relaxed);
                    if !scene.accepts(&copy, "key") {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    for _ in 0..4 {
        let before = scene.world.current();
        scene.world.rotate().await.unwrap();
        assert!(scene.accepts(&before, "key"), "a copy from before the rotation is refused after it");
    }
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert_eq!(refused.load(Ordering::Relaxed), 0);
    assert!(asked.load(Ordering::Relaxed) > 100, "the clients hardly asked");
}
