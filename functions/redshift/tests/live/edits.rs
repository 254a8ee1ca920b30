//! Somebody edits AWSCURRENT while it rotates, between any two steps: the edit is never lost without a word.

use lab::edits::{self, Edit, GAPS};

use super::app::App;

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_awscurrent_between_any_two_steps_is_never_lost_silently() {
    for strategy in ["single-user", "alternating-users"] {
        for gap in 0..GAPS {
            for change in Edit::ALL {
                let app = App::new().await;
                let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
                world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
                let accepts = async |value: &_| app.accepts(value).await;
                edits::rotate_with(&world, change, gap, "password", accepts).await;
            }
        }
    }
}
