//! Somebody edits AWSCURRENT while it rotates, between any two steps: the edit is never lost without a word, and no key that is in
//! use is revoked.

use lab::edits::{self, Edit, GAPS};

use super::own_keys;
use super::scene::Scene;

async fn scene(kind: &str) -> Scene {
    match kind {
        "two keys" => Scene::plain().await,
        "own keys" => own_keys::registry_scene().await,
        _ => own_keys::one_key_scene().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_awscurrent_between_any_two_steps_is_never_lost_silently() {
    for kind in ["two keys", "own keys", "one key"] {
        for gap in 0..GAPS {
            for change in Edit::ALL {
                let scene = scene(kind).await;
                scene.world.rotate().await.unwrap_or_else(|error| panic!("{kind}: {error}"));
                let accepts = async |value: &_| scene.accepts(value, "key");
                edits::rotate_with(&scene.world, change, gap, "key", accepts).await;
            }
        }
    }
}
