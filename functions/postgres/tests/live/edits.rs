//! Somebody edits AWSCURRENT while it rotates, between any two steps: the edit is never lost without a word.

use lab::rotation::Step;
use lab::world::World;
use serde_json::{Value, json};

use super::app::FIRST;
use super::pair::{Pair, Power};

/// What somebody stores as AWSCURRENT.
#[derive(Clone, Copy, Debug)]
enum Edit {
    /// Another field, which says nothing to us.
    ExtraKey,
    /// One field less.
    KeyRemoved,
    /// The same server by another name.
    Host,
    /// A password that does not work.
    Password,
    /// No JSON at all.
    Value,
    /// No new value: the label goes back to the version before.
    LabelBack,
}

const EDITS: [Edit; 6] =
    [Edit::ExtraKey, Edit::KeyRemoved, Edit::Host, Edit::Password, Edit::Value, Edit::LabelBack];
const EDITED: &str = "00000000-0000-4000-8000-0000000000ed";

fn edit(world: &World, edit: Edit) {
    let secrets = world.lab.secrets();
    let mut value = world.current();
    match edit {
        Edit::ExtraKey => value["team"] = "payments".into(),
        Edit::KeyRemoved => drop(value.as_object_mut().expect("it is an object").remove("note")),
        Edit::Host => value["host"] = "127.0.0.1".into(),
        Edit::Password => value["password"] = "an edited password".into(),
        Edit::Value => {
            store(world, "only words");
            return;
        }
        Edit::LabelBack => {
            let before = secrets.version_with(&world.secret, "AWSPREVIOUS").expect("there is one");
            secrets.move_label(&world.secret, "AWSCURRENT", Some(&before)).expect("it moves");
            return;
        }
    }
    store(world, &value.to_string());
}

/// Stores a value, and moves AWSCURRENT to it. (A PutSecretValue over AWSCURRENT would end the rotation by itself, because the service
/// then takes AWSPENDING away.)
fn store(world: &World, text: &str) {
    let secrets = world.lab.secrets();
    secrets.put(&world.secret, EDITED, text, &["EDITED"]).expect("it is stored");
    secrets.move_label(&world.secret, "AWSCURRENT", Some(EDITED)).expect("it moves");
}

/// What has to be left of an edit, whatever the rotation came to: the edit is current, or what is current was made from it.
fn survives(world: &World, edit: Edit) -> bool {
    let text = world.lab.secrets().value(&world.secret, "AWSCURRENT").expect("something is current");
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    match edit {
        Edit::ExtraKey => value["team"] == "payments",
        Edit::KeyRemoved => value.is_object() && value["note"].is_null(),
        Edit::Host => value["host"] == "127.0.0.1",
        Edit::Value => text == "only words",
        // A rotation is there to replace passwords.
        Edit::Password | Edit::LabelBack => value.is_object(),
    }
}

/// Edits AWSCURRENT before this step (0 is createSecret, 4 is after the last), and lets the rotation go on.
async fn edited_before(strategy: &str, gap: usize, change: Edit) {
    let case = format!("{strategy}, {change:?} before step {gap}");
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
    world.rotate().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let token = world.begin().unwrap();
    let mut outcome = Ok(());
    for (at, step) in Step::ALL.into_iter().enumerate() {
        if at == gap {
            edit(&world, change);
        }
        outcome = world.step(&token, step).await;
        if outcome.is_err() {
            break;
        }
    }
    if gap == Step::ALL.len() {
        edit(&world, change);
    }
    assert!(survives(&world, change), "{case}: {outcome:?}");
    if let Err(error) = &outcome {
        let error = error.to_string();
        assert!(error.contains("What to do: "), "{case}: {error}");
    } else if gap < Step::ALL.len() {
        assert!(pair.accepts(&world.current()).await, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_awscurrent_between_any_two_steps_is_never_lost_silently() {
    for strategy in ["single-user", "admin", "alternating-users"] {
        for gap in 0..=Step::ALL.len() {
            for change in EDITS {
                edited_before(strategy, gap, change).await;
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
        edit(&world, Edit::ExtraKey);
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
        edit(&world, Edit::ExtraKey);
        held.release();
    };
    let (answer, ()) = tokio::join!(world.step(&token, Step::FinishSecret), edits);
    let error = answer.unwrap_err().to_string();
    assert!(error.starts_with("Conflict:"), "{error}");
    assert_eq!(world.current()["team"], "payments");
}
