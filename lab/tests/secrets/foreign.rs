//! Clients that AWS publishes for applications: the SDK for JavaScript and the caching client for Python.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use lab::Lab;
use lab::servers::{available, node, python};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use crate::clients::strict_lab;

/// Runs a session that says `rotating VERSION` and then waits for a line until that rotation is over.
async fn run(lab: &Lab, command: &mut Command) {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut session = pipes.spawn().unwrap();
    let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
    let line = said(&mut lines).await;
    let version = line.strip_prefix("rotating ").unwrap_or_else(|| panic!("the session said {line:?}"));
    assert!(lab.rotated(version).await.succeeded());
    session.stdin.take().unwrap().write_all(b"it is over\n").await.unwrap();
    assert_eq!(said(&mut lines).await, "the session is over");
    assert!(session.wait().await.unwrap().success());
}

async fn said(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    lines.next_line().await.unwrap().unwrap_or_default()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/secrets").join(name)
}

#[tokio::test]
async fn the_caching_client_for_python_sees_a_rotation_when_it_looks_again() {
    let packages = ["aws-secretsmanager-caching==1.2.0", "boto3==1.44.5"];
    let Some(python) = available("aws-secretsmanager-caching", move || python("caching", &packages)).await
    else {
        return;
    };
    let (lab, function) = strict_lab().await;
    run(&lab, Command::new(python).arg(script("caching.py")).args([lab.endpoint(), function])).await;
}

#[tokio::test]
async fn a_session_of_the_sdk_for_javascript() {
    let sdk = "@aws-sdk/client-secrets-manager@3.1164.0";
    let Some(folder) = available(sdk, move || node("clients", &[sdk])).await else { return };
    // Node looks for packages beside the script.
    let session = tempfile::tempdir().unwrap();
    let copy = session.path().join("session.mjs");
    std::fs::copy(script("session.mjs"), &copy).unwrap();
    std::os::unix::fs::symlink(folder.join("node_modules"), session.path().join("node_modules")).unwrap();
    let (lab, function) = strict_lab().await;
    run(&lab, Command::new("node").arg(copy).args([lab.endpoint(), function])).await;
}
