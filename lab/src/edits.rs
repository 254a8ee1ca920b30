//! Edits of AWSCURRENT by a person while the secret rotates, and what has to be left of them.

use serde_json::Value;

use crate::rotation::Step;
use crate::world::World;

/// What somebody stores as AWSCURRENT.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    /// Another field, which no rotation reads.
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

impl Edit {
    /// Every edit.
    pub const ALL: [Edit; 6] =
        [Edit::ExtraKey, Edit::KeyRemoved, Edit::Host, Edit::Password, Edit::Value, Edit::LabelBack];
}

/// The number of places for an edit: before each step, and after the last.
pub const GAPS: usize = Step::ALL.len() + 1;

const EDITED: &str = "00000000-0000-4000-8000-0000000000ed";

/// Edits the secret. Its value has a field `note`; `password` names the field with the password.
///
/// # Panics
/// If the secret cannot be edited so.
pub fn edit(world: &World, edit: Edit, password: &str) {
    let secrets = world.lab.secrets();
    let mut value = world.current();
    match edit {
        Edit::ExtraKey => value["team"] = "payments".into(),
        Edit::KeyRemoved => drop(value.as_object_mut().expect("it is an object").remove("note")),
        Edit::Host => value["host"] = "127.0.0.1".into(),
        Edit::Password => value[password] = "an edited password".into(),
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

/// Whether the edit is current, or what is current was made from it.
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

/// Rotates a secret that has rotated once, and edits it in this gap. The edit must not be lost: either the rotation ends on a value
/// that was made from it and that the server accepts, or the refusal says what to do.
///
/// # Panics
/// If any of this is not so.
pub async fn rotate_with(
    world: &World,
    change: Edit,
    gap: usize,
    password: &str,
    accepts: impl AsyncFnOnce(&Value) -> bool,
) {
    let case = format!("{change:?} before step {gap}");
    let token = world.begin().unwrap_or_else(|error| panic!("{case}: {error}"));
    let mut outcome = Ok(());
    for (at, step) in Step::ALL.into_iter().enumerate() {
        if at == gap {
            edit(world, change, password);
        }
        outcome = world.step(&token, step).await;
        if outcome.is_err() {
            break;
        }
    }
    if gap == Step::ALL.len() {
        edit(world, change, password);
    }
    assert!(survives(world, change), "{case}: {outcome:?}");
    if let Err(error) = &outcome {
        let error = error.to_string();
        assert!(error.contains("What to do: "), "{case}: {error}");
    } else if gap < Step::ALL.len() {
        assert!(accepts(&world.current()).await, "{case}");
    }
}
