//! Somebody edits AWSCURRENT while it rotates, between any two steps: the edit is never lost without a word.

use lab::edits::{self, Edit, GAPS, edit};
use lab::rotation::Step;
use serde_json::json;

use super::app::FIRST;
use super::pair::{Pair, Power};

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_awscurrent_between_any_two_steps_is_never_lost_silently() {
    for strategy in ["single-user", "admin", "alternating-users"] {
        for gap in 0..GAPS {
            for change in Edit::ALL {
                let pair = Pair::new(16, Power::CreateRole).await;
                let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
                world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
                let accepts = async |value: &_| pair.accepts(value).await;
                edits::rotate_with(&world, change, gap, "password", accepts).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_value_made_from_an_older_one_is_refused_and_its_removal_is_the_way_on() {
    for (strategy, gap) in [("single-user", 1), ("single-user", 3), ("admin", 3), ("alternating-users", 3)] {
        let pair = Pair::new(16, Power::CreateRole).await;
        let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let token = world.begin().unwrap();
        for step in Step::ALL.into_iter().take(gap) {
            world.step(&token, step).await.unwrap();
        }
        edit(&world, Edit::ExtraKey, "password");
        let error = world.step(&token, Step::ALL[gap]).await.unwrap_err().to_string();
        for part in ["Conflict:", "\"team\" differs", "turnlock repair"] {
            assert!(error.contains(part), "{strategy} {gap}: no {part:?} in {error}");
        }
        world.abandon().unwrap();
        world.rotate().await.unwrap_or_else(|error| panic!("{strategy} {gap}: {error}"));
        let current = world.current();
        assert!(current["team"] == "payments" && current["note"] == json!({"kept": [1, 2.50]}));
        assert!(pair.accepts(&current).await && current["password"] != FIRST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_right_before_the_label_moves_stops_the_move() {
    use lab::secrets::{At, Fault, Hook, What};
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = pair.world_with(&[], |secret| secret["strategy"] = "single-user".into()).await;
    let token = world.begin().unwrap();
    for step in [Step::CreateSecret, Step::SetSecret, Step::TestSecret] {
        world.step(&token, step).await.unwrap();
    }
    let (hook, mut held) = Hook::hold();
    world
        .lab
        .faults()
        .set(vec![Fault::new(At::operation("UpdateSecretVersionStage", 1), What::Before(hook))]);
    let edits = async {
        held.reached().await.unwrap();
        edit(&world, Edit::ExtraKey, "password");
        held.release();
    };
    let (answer, ()) = tokio::join!(world.step(&token, Step::FinishSecret), edits);
    let error = answer.unwrap_err().to_string();
    assert!(error.starts_with("Conflict:"), "{error}");
    assert_eq!(world.current()["team"], "payments");
}
