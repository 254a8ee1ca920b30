//! Somebody edits AWSCURRENT while it rotates, between any two steps: the edit is never lost without a word.

use lab::edits::{self, Edit, GAPS};
use lab::servers::Release;

use super::app::App;

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_awscurrent_between_any_two_steps_is_never_lost_silently() {
    for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
        for gap in 0..GAPS {
            for change in Edit::ALL {
                let app = App::new(Release::MYSQL_9).await;
                let world = app.world_as(strategy, |_| ()).await;
                world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
                let stored = world.current();
                let accepts = async |value: &_| app.accepts(value).await;
                edits::rotate_with(&world, change, gap, "password", accepts).await;
                // With two passwords, or two users, a password that the edit leaves in place goes on working.
                let overlaps = ["alternating-users", "dual-password"].contains(&strategy);
                let stays = matches!(change, Edit::ExtraKey | Edit::KeyRemoved | Edit::Host);
                assert!(
                    !overlaps || !stays || app.accepts(&stored).await,
                    "{strategy}: {change:?} before {gap}"
                );
            }
        }
    }
}
