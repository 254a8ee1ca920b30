//! Real clients: boto3 and the AWS CLI, both from PyPI, signing their requests.

use std::path::Path;
use std::process::{Output, Stdio};

use lab::secrets::Account;
use lab::{Lab, Options};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::client::{refused, send};
use crate::rules::attach;

async fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let Output { status, stdout, stderr } = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match status.success() {
        true => Ok(text(&stdout)),
        false => Err(format!("{status}\n{}\n{}", text(&stdout), text(&stderr))),
    }
}

pub(crate) async fn strict_lab() -> (Lab, String) {
    let account = |id: &str, secret_key: &str| Account { id: id.into(), secret_key: secret_key.into() };
    let accounts = [
        ("lab".to_owned(), account("000000000000", "lab-secret")),
        ("other".to_owned(), account("111122223333", "other-secret")),
    ];
    let options = Options { accounts: accounts.into(), check_signatures: true, ..Options::default() };
    let lab = Lab::start(options).await.unwrap();
    let (function, _) = attach(&lab, |_| Ok(()));
    (lab, function)
}

#[tokio::test]
async fn a_session_of_boto3() {
    let Some(python) = lab::servers::python_clients().await else { return };
    let (lab, function) = strict_lab().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/secrets/session.py");
    let mut command = Command::new(python);
    let session = run(command.arg(script).args([lab.endpoint(), function])).await;
    assert_eq!(session.unwrap_or_else(|error| panic!("{error}")).trim(), "the session is over");
}

#[tokio::test]
async fn a_session_of_the_aws_cli() {
    let Some(python) = lab::servers::python_clients().await else { return };
    let (lab, function) = strict_lab().await;
    let aws = async |arguments: &[&str]| -> Result<Value, String> {
        let mut command = Command::new(&python);
        command
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", lab.endpoint())
            .env("AWS_DEFAULT_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "lab").env("AWS_SECRET_ACCESS_KEY", "lab-secret");
        command.args(["-m", "awscli", "secretsmanager", "--output", "json"]).args(arguments);
        let text = run(&mut command).await?;
        Ok(if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    };
    let ok = async |arguments: &[&str]| aws(arguments).await.unwrap_or_else(|error| panic!("{error}"));

    let created = ok(&["create-secret", "--name", "db", "--secret-string", "first"]).await;
    let arn = created["ARN"].as_str().unwrap();
    let rotated = ok(&[
        "rotate-secret",
        "--secret-id",
        arn,
        "--rotation-lambda-arn",
        &function,
        "--rotation-rules",
        "AutomaticallyAfterDays=30",
    ])
    .await;
    let version = rotated["VersionId"].as_str().unwrap();
    assert!(lab.rotated(version).await.succeeded());
    let value = ok(&["get-secret-value", "--secret-id", "db"]).await;
    assert_eq!(value["VersionId"], version);
    assert_eq!(value["VersionStages"], json!(["AWSCURRENT"]));
    let described = ok(&["describe-secret", "--secret-id", "db"]).await;
    assert_eq!(described["RotationRules"], json!({"AutomaticallyAfterDays": 30}));

    let listed = ok(&["list-secrets", "--filters", "Key=name,Values=d"]).await;
    assert_eq!(listed["SecretList"][0]["ARN"], arn);
    let versions = ok(&["list-secret-version-ids", "--secret-id", "db", "--include-deprecated"]).await;
    assert_eq!(versions["Versions"].as_array().unwrap().len(), 2);

    ok(&["replicate-secret-to-regions", "--secret-id", "db", "--add-replica-regions", "Region=eu-west-1"])
        .await;
    let there = ok(&["--region", "eu-west-1", "get-secret-value", "--secret-id", "db"]).await;
    assert_eq!(there["SecretString"], value["SecretString"]);
    ok(&["remove-regions-from-replication", "--secret-id", "db", "--remove-replica-regions", "eu-west-1"])
        .await;

    let policy =
        json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]});
    let policy = policy.to_string();
    let public =
        ["put-resource-policy", "--secret-id", "db", "--block-public-policy", "--resource-policy", &policy];
    assert!(aws(&public).await.unwrap_err().contains("(PublicPolicyException)"));
    ok(&["put-resource-policy", "--secret-id", "db", "--resource-policy", &policy]).await;
    let error = aws(&["get-secret-value", "--secret-id", "none"]).await.unwrap_err();
    let expected = "An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager can't find the specified secret.";
    assert!(error.contains(expected), "{error}");
    ok(&["delete-secret", "--secret-id", "db", "--force-delete-without-recovery"]).await;
}

#[tokio::test]
async fn requests_without_a_right_signature_are_refused_where_that_is_asked_for() {
    let (lab, _) = strict_lab().await;
    refused(send(&lab, "ListSecrets", json!({})).await, "MissingAuthenticationTokenException");
    let answer = crate::client::send_as(&lab, Some(("lab", "us-east-1")), "ListSecrets", json!({})).await;
    refused(answer, "InvalidSignatureException");
    let answer = crate::client::send_as(&lab, Some(("nobody", "us-east-1")), "ListSecrets", json!({})).await;
    refused(answer, "UnrecognizedClientException");
}
