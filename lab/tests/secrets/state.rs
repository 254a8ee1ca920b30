//! The state file: everything comes back, nothing is half written, and nobody without the key reads it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::secrets::{StateFile, StateKey};
use lab::{Lab, Options};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::{TOKEN_1, TOKEN_2, post};
use crate::rules::attach;

/// Options for a lab whose state and key are files in a folder.
pub(crate) fn kept_in(folder: &Path) -> Options {
    let key = StateKey::File(folder.join("key"));
    Options { state: Some(StateFile { path: folder.join("state"), key }), ..Options::default() }
}

/// Everything there is to see of a lab, but for the dates of access.
pub(crate) fn everything(lab: &Lab) -> String {
    let secrets = lab.secrets();
    let list =
        secrets.call("ListSecrets", json!({"IncludePlannedDeletion": true, "SortBy": "name"})).unwrap();
    let mut all = String::new();
    for secret in list["SecretList"].as_array().unwrap() {
        let name = secret["Name"].as_str().unwrap();
        let versions = secrets.versions(name).unwrap();
        let values: Vec<_> = versions.iter().map(|version| secrets.value_of(name, &version.id)).collect();
        all += &format!("{secret} {versions:?} {values:?}\n");
    }
    all
}

async fn try_start(options: Options) -> Result<Lab, String> {
    Lab::start(options).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn everything_is_as_it_was_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(kept_in(folder.path())).await.unwrap();
    let secrets = lab.secrets();
    for name in ["one", "two", "three", "four"] {
        secrets.create(name, name).unwrap();
    }
    secrets.put("one", TOKEN_1, "second", &["AWSPENDING", "MINE"]).unwrap();
    secrets.begin_rotation("two").unwrap();
    for (operation, request) in [
        ("TagResource", json!({"SecretId": "one", "Tags": [{"Key": "a", "Value": "b"}]})),
        (
            "PutSecretValue",
            json!({"SecretId": "two", "ClientRequestToken": TOKEN_2, "SecretBinary": "AAEC/w=="}),
        ),
        (
            "ReplicateSecretToRegions",
            json!({"SecretId": "two", "AddReplicaRegions": [{"Region": "eu-west-1"}]}),
        ),
        ("DeleteSecret", json!({"SecretId": "three"})),
        ("DeleteSecret", json!({"SecretId": "four", "ForceDeleteWithoutRecovery": true})),
    ] {
        secrets.call(operation, request).unwrap();
    }
    let before = everything(&lab);
    drop(lab);
    // Twice: from what was appended, and from what that was compacted to.
    for _ in 0..2 {
        let lab = Lab::start(kept_in(folder.path())).await.unwrap();
        assert_eq!(everything(&lab), before);
        assert!(lab.secrets().in_region("eu-west-1").arn("two").is_ok());
    }
}

#[tokio::test]
async fn a_scheduled_rotation_waits_over_a_restart_for_its_function() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(kept_in(folder.path())).await.unwrap();
    lab.secrets().create("db", "first").unwrap();
    let (function, _) = attach(&lab, |_| Err("down".into()));
    let rotate = json!({"SecretId": "db", "ClientRequestToken": TOKEN_1, "RotationLambdaARN": function,
        "RotationRules": {"AutomaticallyAfterDays": 1}});
    lab.secrets().call("RotateSecret", rotate).unwrap();
    drop(lab);
    let lab = Lab::start(kept_in(folder.path())).await.unwrap();
    lab.clock().advance(Duration::from_secs(86_400));
    attach(&lab, |_| Ok(()));
    // The same rotation goes on, under its token.
    assert!(lab.rotated(TOKEN_1).await.succeeded());
}

#[tokio::test]
async fn the_file_shows_no_secret_and_opens_with_its_passphrase_only() {
    let folder = TempDir::new().unwrap();
    let options = |passphrase: &str| {
        let key = StateKey::Passphrase(passphrase.into());
        Options { state: Some(StateFile { path: folder.path().join("state"), key }), ..Options::default() }
    };
    let lab = Lab::start(options("correct horse")).await.unwrap();
    lab.secrets().create("name-to-be-hidden", "value-to-be-hidden").unwrap();
    let text = String::from_utf8_lossy(&fs::read(folder.path().join("state")).unwrap()).into_owned();
    assert!(!text.contains("to-be-hidden"));

    let error = try_start(options("correct horse")).await.unwrap_err();
    assert!(error.ends_with("is in use by another lab"), "{error}");
    drop(lab);
    let error = try_start(options("battery staple")).await.unwrap_err();
    assert_eq!(error, "the state file does not open with this key");
    let lab = Lab::start(options("correct horse")).await.unwrap();
    assert_eq!(lab.secrets().value("name-to-be-hidden", "AWSCURRENT").unwrap(), "value-to-be-hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_that_has_ended_leaves_its_state_to_the_next_whatever_else_this_process_starts() {
    // A child has its parent's open files for a moment, and with them what they had locked.
    let children = std::thread::spawn(|| {
        for _ in 0..500 {
            std::process::Command::new("true").status().unwrap();
        }
    });
    let folder = TempDir::new().unwrap();
    while !children.is_finished() {
        drop(Lab::start(kept_in(folder.path())).await.unwrap());
    }
    children.join().unwrap();
}

#[tokio::test]
async fn a_file_cut_anywhere_opens_as_of_some_call_and_a_damaged_one_not_at_all() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    let lab = Lab::start(kept_in(folder.path())).await.unwrap();
    let whole = |length: &mut Vec<usize>| length.push(fs::read(&path).unwrap().len());
    let mut ends = Vec::new();
    whole(&mut ends);
    let mut states = vec![everything(&lab)];
    for n in 0..6 {
        lab.secrets().create(&format!("secret-{n}"), "value").unwrap();
        whole(&mut ends);
        states.push(everything(&lab));
    }
    drop(lab);
    let bytes = fs::read(&path).unwrap();
    let cuts = (0..bytes.len()).step_by(37).chain(ends.iter().copied());
    for cut in cuts {
        fs::write(&path, &bytes[..cut]).unwrap();
        let lab = try_start(kept_in(folder.path())).await;
        // The last call whose record is whole; none if even the beginning is cut.
        match ends.iter().rposition(|end| *end <= cut) {
            Some(last) => assert_eq!(everything(&lab.unwrap()), states[last], "cut at {cut}"),
            None => assert!(lab.is_err(), "cut at {cut}"),
        }
    }
    let mut damaged = bytes.clone();
    damaged[ends[2] + 40] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert_eq!(try_start(kept_in(folder.path())).await.unwrap_err(), "the state file is damaged");
}

#[tokio::test]
async fn a_file_that_has_grown_is_written_anew_and_still_has_everything() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(kept_in(folder.path())).await.unwrap();
    lab.secrets().create("db", "first").unwrap();
    let value = "x".repeat(60_000);
    for n in 0..100 {
        // Of these changes nothing stays.
        lab.secrets().create(&format!("big-{n}"), &value).unwrap();
        let delete = json!({"SecretId": format!("big-{n}"), "ForceDeleteWithoutRecovery": true});
        lab.secrets().call("DeleteSecret", delete).unwrap();
    }
    let length = fs::metadata(folder.path().join("state")).unwrap().len();
    assert!(length < 5 << 20, "{length} bytes after 6 MB of changes");
    let before = everything(&lab);
    drop(lab);
    assert_eq!(everything(&Lab::start(kept_in(folder.path())).await.unwrap()), before);
}

#[tokio::test]
async fn once_the_file_cannot_be_written_nothing_is_answered_any_more() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(kept_in(folder.path())).await.unwrap();
    lab.secrets().create("db", "first").unwrap();
    // The open file takes more, but the new one that it is compacted to has no folder.
    fs::remove_dir_all(folder.path()).unwrap();
    let value = "x".repeat(60_000);
    let mut names = (0..200).map(|n| format!("big-{n}"));
    let refusal = names.find_map(|name| lab.secrets().create(&name, &value).err()).unwrap();
    assert_eq!((refusal.kind.as_str(), refusal.status), ("InternalServiceError", 500));
    assert!(refusal.message.starts_with("The lab's state file could not be written"), "{refusal}");
    let read = lab.secrets().call("GetSecretValue", json!({"SecretId": "db"})).unwrap_err();
    assert_eq!(read.message, "An earlier write to the lab's state file failed.");
}

/// In the child process that the next test starts: the folder of its state.
const FOLDER: &str = "LAB_TEST_STATE_FOLDER";
const SECRETS: usize = 4;

#[tokio::test]
async fn killed_in_the_middle_of_writes_it_reopens_as_of_the_last_acknowledged_call() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let lab = Lab::start(kept_in(Path::new(&folder))).await.unwrap();
        println!("\n{}", lab.endpoint());
        // Until killed, or until the test that started this is gone.
        let gone = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        gone.await.unwrap().unwrap();
        return;
    }
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(kept_in(folder.path())).await.unwrap();
    for n in 0..SECRETS {
        lab.secrets().create(&format!("secret-{n}"), "first").unwrap();
    }
    drop(lab);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..5 {
        let (mut child, endpoint) = start_child(folder.path()).await;
        let writers: Vec<_> = (0..SECRETS)
            .map(|n| tokio::spawn(write(endpoint.clone(), n, round, Arc::clone(&acknowledged))))
            .collect();
        let enough = (round + 1) * 40;
        while acknowledged.lock().unwrap().len() < enough {
            tokio::task::yield_now().await;
        }
        child.kill().await.unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        let lab = Lab::start(kept_in(folder.path())).await.unwrap();
        check_kept(&lab, &acknowledged.lock().unwrap());
    }
}

type Acknowledged = Arc<Mutex<Vec<(String, String)>>>;

async fn start_child(folder: &Path) -> (Child, String) {
    let name = "state::killed_in_the_middle_of_writes_it_reopens_as_of_the_last_acknowledged_call";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("the child prints its endpoint");
        if line.starts_with("http://") {
            return (child, line);
        }
    }
}

/// Puts value after value until the lab is gone; the token is the value.
async fn write(endpoint: String, n: usize, round: usize, acknowledged: Acknowledged) {
    let name = format!("secret-{n}");
    for count in 0.. {
        let token = format!("round-{round}-writer-{n}-count-{count:08}-token");
        let request = json!({"SecretId": name, "ClientRequestToken": token, "SecretString": token});
        match post(&endpoint, None, "PutSecretValue", request).await {
            Some((200, _)) => acknowledged.lock().unwrap().push((name.clone(), token)),
            _ => return,
        }
    }
}

fn check_kept(lab: &Lab, acknowledged: &[(String, String)]) {
    for (name, token) in acknowledged {
        assert_eq!(lab.secrets().value_of(name, token).as_ref(), Some(token));
    }
    for n in 0..SECRETS {
        let name = format!("secret-{n}");
        let current = lab.secrets().version_with(&name, "AWSCURRENT").unwrap();
        let last = acknowledged.iter().rev().find(|(of, _)| *of == name).map(|(_, token)| token);
        // One put may have been written whose answer the kill cut off.
        let versions = lab.secrets().versions(&name).unwrap();
        let after_last = last.map(|last| {
            let at = versions.iter().position(|version| version.id == *last).unwrap();
            &versions[at..]
        });
        if let Some(after_last) = after_last {
            assert!(after_last.len() <= 2, "{after_last:?}");
            assert_eq!(after_last.last().unwrap().id, current);
        }
    }
}
