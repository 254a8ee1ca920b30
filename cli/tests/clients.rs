//! Real clients of `turnlock lab`: boto3 and the AWS CLI, both from PyPI. They get the variables that the lab prints, and nothing else.

#![expect(clippy::unwrap_used, reason = "these are the helpers of tests, and a panic is how a test fails")]

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A lab with a secret and a rotation function, and the variables that the lab printed. Dropping it stops the lab.
struct Lab {
    _process: Child,
    _folder: tempfile::TempDir,
    endpoint: String,
    function: String,
}

async fn lab() -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed.toml");
    let keys =
        "[\"prod/hook\"]\nfunction = \"keys\"\nvalue = { provider = \"random\", key = \"the first one\" }\n";
    std::fs::write(&seed, keys).unwrap();
    let function = lab::runtime::Function::build("rotate-api-key").unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_turnlock"))
        .args([
            "lab",
            "--port",
            "0",
            "--json",
            "--function",
            &format!("keys={}", function.display()),
            "--seed",
        ])
        .arg(&seed)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let ready: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    // The output must be read, or the lab would block on a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    Lab {
        _process: process,
        _folder: folder,
        endpoint: word(&ready["endpoint"]),
        function: word(&ready["functions"][0]),
    }
}

impl Lab {
    /// Runs a Python command with the variables that the lab printed.
    async fn python(&self, python: &Path, arguments: &[&str]) -> String {
        let output = Command::new(python)
            .args(arguments)
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.endpoint)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "lab")
            .env("AWS_SECRET_ACCESS_KEY", "lab")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }
}

const SESSION: &str = r#"
import json, sys, time, boto3
sm = boto3.client("secretsmanager")
before = json.loads(sm.get_secret_value(SecretId="prod/hook")["SecretString"])
assert before == {"provider": "random", "key": "the first one"}, before
version = sm.rotate_secret(SecretId="prod/hook", RotationLambdaARN=sys.argv[1])["VersionId"]
deadline = time.monotonic() + 60
while "LastRotatedDate" not in sm.describe_secret(SecretId="prod/hook"):
    assert time.monotonic() < deadline, "waited for a minute"
    time.sleep(0.05)
now = sm.get_secret_value(SecretId="prod/hook")
assert now["VersionId"] == version and now["VersionStages"] == ["AWSCURRENT"], now
assert json.loads(now["SecretString"])["key"] != before["key"]
previous = sm.get_secret_value(SecretId="prod/hook", VersionStage="AWSPREVIOUS")
assert json.loads(previous["SecretString"]) == before
try:
    sm.get_secret_value(SecretId="none")
except sm.exceptions.ResourceNotFoundException:
    print("rotated")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn boto3_rotates_through_the_lab() {
    let Some(python) = lab::servers::python_clients().await else { return };
    let lab = lab().await;
    assert_eq!(lab.python(&python, &["-c", SESSION, &lab.function]).await.trim(), "rotated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_rotates_through_the_lab() {
    let Some(python) = lab::servers::python_clients().await else { return };
    let lab = lab().await;
    let aws = async |arguments: &[&str]| {
        let all = [&["-m", "awscli", "secretsmanager", "--output", "json"], arguments].concat();
        let text = lab.python(&python, &all).await;
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let rotated =
        aws(&["rotate-secret", "--secret-id", "prod/hook", "--rotation-lambda-arn", &lab.function]).await;
    let version = rotated["VersionId"].as_str().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let current = loop {
        let current = aws(&["get-secret-value", "--secret-id", "prod/hook"]).await;
        if current["VersionId"] == version {
            break current;
        }
        assert!(std::time::Instant::now() < deadline, "waited for a minute");
    };
    assert!(!current["SecretString"].as_str().unwrap().contains("the first one"));
    let listed = aws(&["list-secrets"]).await;
    assert_eq!(listed["SecretList"][0]["Name"], "prod/hook");
    assert_eq!(listed["SecretList"][0]["RotationLambdaARN"], lab.function.as_str());
}
