//! Random histories against a small model of labels and values.

use std::collections::BTreeMap;

use lab::Lab;
use lab::secrets::Refusal;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::state::{everything, kept_in};

const SECRETS: [&str; 2] = ["one", "two"];
const TOKENS: [&str; 4] = [
    "token-1-token-1-token-1-token-1-",
    "token-2-token-2-token-2-token-2-",
    "token-3-token-3-token-3-token-3-",
    "token-4-token-4-token-4-token-4-",
];
const LABELS: [&str; 4] = ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "MINE"];

#[derive(Clone, Debug)]
enum Step {
    Put { token: &'static str, value: &'static str, labels: Vec<&'static str> },
    Update { token: &'static str, value: &'static str },
    Move { label: &'static str, from: Option<&'static str>, to: Option<&'static str> },
    Begin,
    Cancel,
    Tag,
    Delete,
    Restore,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let token = || select(TOKENS.as_slice());
    let value = || select(["a", "b"].as_slice());
    let labels = subsequence(LABELS.as_slice(), 0..=3);
    let put =
        (token(), value(), labels).prop_map(|(token, value, labels)| Step::Put { token, value, labels });
    let update = (token(), value()).prop_map(|(token, value)| Step::Update { token, value });
    let maybe = || prop::option::weighted(0.8, token());
    let moved = (select(LABELS.as_slice()), maybe(), maybe()).prop_map(|(label, from, to)| Step::Move {
        label,
        from,
        to,
    });
    prop_oneof![
        8 => put,
        2 => update,
        8 => moved,
        4 => Just(Step::Begin),
        1 => Just(Step::Cancel),
        1 => Just(Step::Tag),
        1 => Just(Step::Delete),
        2 => Just(Step::Restore),
        2 => Just(Step::Reopen),
    ]
}

/// One secret as the rules have it: where each label sits, and what each version holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    labels: BTreeMap<String, String>,
    values: BTreeMap<String, Option<String>>,
}

impl Model {
    fn attach(&mut self, label: &str, to: &str) {
        let former = self.labels.insert(label.into(), to.into());
        if let (true, Some(former)) = (label == "AWSCURRENT", former.filter(|former| former != to)) {
            self.labels.insert("AWSPREVIOUS".into(), former);
        }
    }

    fn put(&mut self, token: &str, value: &str, labels: &[&str]) {
        if self.values.get(token).is_some_and(Option::is_some) {
            return;
        }
        let first = self.values.is_empty();
        let current = labels.is_empty() || labels.contains(&"AWSCURRENT") || first;
        if current && self.labels.get("AWSPENDING").is_some_and(|holder| holder != token) {
            self.labels.remove("AWSPENDING");
        }
        // Labels are attached in the order the request has them.
        let default = if current && (labels.is_empty() || first) { vec!["AWSCURRENT"] } else { Vec::new() };
        let missing = default.into_iter().filter(|label| !labels.contains(label));
        for label in labels.iter().copied().chain(missing) {
            self.attach(label, token);
        }
        self.values.insert(token.into(), Some(value.into()));
    }

    /// The same view of the real secret.
    fn of(lab: &Lab, name: &str) -> Self {
        let mut model = Self::default();
        for version in lab.secrets().versions(name).unwrap() {
            for label in version.labels {
                let twice = model.labels.insert(label, version.id.clone());
                assert_eq!(twice, None, "a label on two versions");
            }
            model.values.insert(version.id.clone(), lab.secrets().value_of(name, &version.id));
        }
        model
    }
}

/// Does one step to the lab, and to the model what the rules say of a step that succeeds.
fn take(lab: &Lab, name: &str, step: &Step, model: &mut Model) -> Result<Value, Refusal> {
    let secrets = lab.secrets();
    let call = |operation: &str, mut request: Value| {
        request["SecretId"] = json!(name);
        secrets.call(operation, request)
    };
    match step {
        Step::Put { token, value, labels } => {
            let mut request = json!({"ClientRequestToken": token, "SecretString": value});
            if !labels.is_empty() {
                request["VersionStages"] = json!(labels);
            }
            let answer = call("PutSecretValue", request)?;
            model.put(token, value, labels);
            Ok(answer)
        }
        Step::Update { token, value } => {
            let answer = call("UpdateSecret", json!({"ClientRequestToken": token, "SecretString": value}))?;
            model.put(token, value, &["AWSCURRENT"]);
            Ok(answer)
        }
        Step::Move { label, from, to } => {
            let request = json!({"VersionStage": label, "RemoveFromVersionId": from, "MoveToVersionId": to});
            let answer = call("UpdateSecretVersionStage", request)?;
            match to {
                Some(to) => model.attach(label, to),
                None => drop(model.labels.remove(*label)),
            }
            Ok(answer)
        }
        Step::Begin => {
            let token = secrets.begin_rotation(name)?;
            model.attach("AWSPENDING", &token);
            model.values.insert(token, None);
            Ok(Value::Null)
        }
        Step::Cancel => call("CancelRotateSecret", json!({})),
        Step::Tag => call("TagResource", json!({"Tags": [{"Key": "a", "Value": "b"}]})),
        Step::Delete => call("DeleteSecret", json!({})),
        Step::Restore => call("RestoreSecret", json!({})),
        Step::Reopen => Ok(Value::Null),
    }
}

fn check(history: &[(usize, Step)], with_value: bool) {
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let start = || runtime.block_on(Lab::start(kept_in(folder.path()))).unwrap();
    let mut lab = start();
    let mut models = [Model::default(), Model::default()];
    for (name, model) in SECRETS.iter().zip(&mut models) {
        let mut request = json!({"Name": name, "ClientRequestToken": TOKENS[0]});
        if with_value {
            request["SecretString"] = json!("a");
            model.put(TOKENS[0], "a", &[]);
        }
        lab.secrets().call("CreateSecret", request).unwrap();
    }
    for (which, step) in history {
        let (name, model) = (SECRETS[*which], &mut models[*which]);
        let before = everything(&lab);
        let values = model.values.clone();
        let had_current = model.labels.contains_key("AWSCURRENT");
        let answer = take(&lab, name, step, model);
        if answer.is_err() {
            assert_eq!(everything(&lab), before, "a refused call changes nothing: {answer:?}");
        }
        if let Step::Reopen = step {
            drop(lab);
            lab = start();
            assert_eq!(everything(&lab), before, "everything is as it was after a restart");
        }
        let seen = Model::of(&lab, name);
        assert_eq!(seen, *model, "after {step:?}: {answer:?}");
        assert!(!had_current || seen.labels.contains_key("AWSCURRENT"), "AWSCURRENT never goes");
        for (token, value) in values.into_iter().filter(|(_, value)| value.is_some()) {
            assert_eq!(seen.values[&token], value, "a token's value never changes");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn labels_and_values_keep_the_rules(
        history in prop::collection::vec((0..SECRETS.len(), step()), 1..50),
        with_value in any::<bool>(),
    ) {
        check(&history, with_value);
    }
}
