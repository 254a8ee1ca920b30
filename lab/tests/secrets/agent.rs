//! AWS's Secrets Manager agent, which holds AWS's caching client for Rust and answers applications over HTTP.

use std::process::Stdio;

use lab::Lab;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::clients::strict_lab;

const CONFIGURATION: &str =
    "http_port = \"0\"\nlog_to_file = false\nlog_level = \"error\"\nvalidate_credentials = false\n";

/// A running agent and its address.
struct Agent {
    _process: Child,
    address: String,
}

impl Agent {
    async fn start(lab: &Lab) -> Agent {
        let program =
            std::env::var("TURNLOCK_TEST_AGENT").expect("TURNLOCK_TEST_AGENT names the agent's program");
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("agent.toml");
        std::fs::write(&configuration, CONFIGURATION).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(&configuration).env_clear();
        command.envs([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "lab"),
            ("AWS_SECRET_ACCESS_KEY", "lab-secret"),
        ]);
        command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", lab.endpoint()).env("AWS_TOKEN", "the-agents-token");
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the agent says where it listens");
        let address = line.rsplit("http://").next().unwrap().trim().to_owned();
        Agent { _process: process, address }
    }

    /// The status and the body of an answer.
    async fn ask(&self, query: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "GET /secretsmanager/get?{query} HTTP/1.1\r\nHost: agent\r\nX-Aws-Parameters-Secrets-Token: the-agents-token\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{head}")), serde_json::from_str(body).unwrap())
    }

    async fn value(&self, query: &str) -> Value {
        let (status, mut body) = self.ask(query).await;
        assert_eq!(status, 200, "{body}");
        body["SecretString"].take()
    }
}

#[tokio::test]
#[ignore = "cargo xtask suites builds the agent and runs this"]
async fn the_agent_and_its_caching_client_for_rust_see_a_rotation_when_they_look_again() {
    let (lab, _) = strict_lab().await;
    lab.secrets().create("app/db", "first").unwrap();
    let agent = Agent::start(&lab).await;
    assert_eq!(agent.value("secretId=app/db").await, "first");

    lab.secrets().enable_rotation("app/db", "rotate").unwrap();
    let rotation = lab.rotate("app/db").await.unwrap();
    assert!(rotation.succeeded(), "{rotation:?}");
    let version = rotation.token;
    assert_eq!(
        agent.value("secretId=app/db").await,
        "first",
        "the copy is younger than the agent's 300 seconds"
    );
    let rotated = format!("value of {version}");
    assert_eq!(agent.value("secretId=app/db&refreshNow=true").await, rotated);
    assert_eq!(agent.value("secretId=app/db").await, rotated);
    assert_eq!(agent.value("secretId=app/db&versionStage=AWSPREVIOUS").await, "first");
    assert_eq!(agent.value(&format!("secretId=app/db&versionId={version}")).await, rotated);

    let (status, body) = agent.ask("secretId=nothing").await;
    assert_eq!((status, &body["__type"]), (400, &json!("ResourceNotFoundException")), "{body}");
}
