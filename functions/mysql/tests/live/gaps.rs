//! Somebody edits AWSCURRENT in a gap between two steps: no edit is lost without an error.

use lab::rotation::Step;
use lab::servers::Release;
use lab::world::World;
use serde_json::{Value, json};

use super::app::App;

const EDITED: &str = "00000000-0000-4000-8000-0000000000ed";

const PASSWORD_CHANGED: &str = "the password is changed";
const LABEL_BACK: &str = "the label is moved back";

/// Whether a current value still has an edit.
type IsThere = fn(&Value) -> bool;

/// The edits, by name.
const EDITS: [(&str, IsThere); 5] = [
    ("a key is added", |value| value["team"] == "payments"),
    ("a key is removed", |value| value.is_object() && value["note"].is_null()),
    ("the host is moved", |value| value["host"] == "127.0.0.1"),
    // A rotation is there to replace passwords.
    (PASSWORD_CHANGED, Value::is_object),
    (LABEL_BACK, Value::is_object),
];

/// Stores an edited value and moves AWSCURRENT to it. A PutSecretValue over AWSCURRENT would take AWSPENDING away.
fn edit(world: &World, name: &str) {
    let secrets = world.lab.secrets();
    let mut value = world.current();
    match name {
        "a key is added" => value["team"] = json!("payments"),
        "a key is removed" => drop(value.as_object_mut().expect("an object").remove("note")),
        "the host is moved" => value["host"] = json!("127.0.0.1"),
        PASSWORD_CHANGED => value["password"] = json!("an edited password"),
        _ => {
            let before = secrets.version_with(&world.secret, "AWSPREVIOUS").expect("there is one");
            secrets.move_label(&world.secret, "AWSCURRENT", Some(&before)).expect("it moves");
            return;
        }
    }
    secrets.put(&world.secret, EDITED, &value.to_string(), &["EDITED"]).expect("it is stored");
    secrets.move_label(&world.secret, "AWSCURRENT", Some(EDITED)).expect("it moves");
}

/// Edits before the step of this number, 4 being after the last, and lets the rotation go on.
async fn edited_before(strategy: &str, gap: usize, name: &str, is_there: IsThere) {
    let case = format!("{strategy}: {name} before step {gap}");
    let app = App::new(Release::MYSQL_9).await;
    let world = app.world_as(strategy, |_| ()).await;
    world.rotate().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let stored = world.current();
    let token = world.begin().expect("a rotation begins");
    let mut outcome = Ok(());
    for (at, step) in Step::ALL.into_iter().enumerate() {
        if at == gap {
            edit(&world, name);
        }
        outcome = world.step(&token, step).await;
        if outcome.is_err() {
            break;
        }
    }
    if gap == Step::ALL.len() {
        edit(&world, name);
    }
    assert!(is_there(&world.current()), "{case}: {outcome:?}");
    match outcome {
        Err(error) => assert!(error.to_string().contains("What to do: "), "{case}: {error}"),
        Ok(()) if gap < Step::ALL.len() => assert!(app.accepts(&world.current()).await, "{case}"),
        Ok(()) => {}
    }
    // With two passwords, or two users, a password that the edit leaves in place goes on working.
    let overlaps = ["alternating-users", "dual-password"].contains(&strategy);
    let stays = ![PASSWORD_CHANGED, LABEL_BACK].contains(&name);
    assert!(!overlaps || !stays || app.accepts(&stored).await, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_awscurrent_in_any_gap_is_never_lost_silently() {
    for strategy in ["single-user", "admin", "alternating-users", "dual-password"] {
        for gap in 0..=Step::ALL.len() {
            for (name, is_there) in EDITS {
                edited_before(strategy, gap, name, is_there).await;
            }
        }
    }
}
