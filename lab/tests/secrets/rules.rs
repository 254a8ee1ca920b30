//! The nine rules of the lab, each tested over HTTP.

use std::sync::{Arc, Mutex};

use lab::Lab;
use lab::rotation::{End, EventKind, InvokeError, Step};
use lab::secrets::{Refusal, Secrets};
use serde_json::{Value, json};

use crate::client::{TOKEN_1, TOKEN_2, TOKEN_3, ok, refused, send};

/// Does what a rotation function does to a secret, without any target behind it.
pub(crate) fn rotate_in_place(secrets: &Secrets, event: &Value) -> Result<(), Refusal> {
    let text = |member: &str| event[member].as_str().unwrap().to_owned();
    let (id, token) = (text("SecretId"), text("ClientRequestToken"));
    match text("Step").as_str() {
        "createSecret" if secrets.value_of(&id, &token).is_none() => {
            secrets.put(&id, &token, &format!("value of {token}"), &["AWSPENDING"])
        }
        "finishSecret" => secrets.move_label(&id, "AWSCURRENT", Some(&token)),
        _ => Ok(()),
    }
}

/// A lab with one secret, `db`, whose first version is `TOKEN_1`.
pub(crate) async fn lab_with_secret() -> Lab {
    let lab = Lab::start(Default::default()).await.unwrap();
    let request = json!({"Name": "db", "SecretString": "first", "ClientRequestToken": TOKEN_1});
    ok(send(&lab, "CreateSecret", request).await);
    lab
}

type Events = Arc<Mutex<Vec<Value>>>;

/// Attaches a function that fails as `fails` says before it does its work.
pub(crate) fn attach(
    lab: &Lab,
    fails: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static,
) -> (String, Events) {
    let (events, secrets) = (Events::default(), lab.secrets());
    let noted = Arc::clone(&events);
    let function = move |event: Value| {
        let result = fails(&event)
            .map_err(|error_message| InvokeError::Function { error_type: "Error".into(), error_message });
        let result = result.and_then(|()| Ok(rotate_in_place(&secrets, &event)?));
        noted.lock().unwrap().push(event);
        async { result.map(|()| Value::Null) }
    };
    (lab.attach("rotate", Arc::new(function)), events)
}

fn labels(lab: &Lab, version: &str) -> Vec<String> {
    let versions = lab.secrets().versions("db").unwrap();
    versions.into_iter().find(|v| v.id == version).map(|v| v.labels).unwrap_or_default()
}

#[tokio::test]
async fn rule_1_rotate_secret_makes_an_empty_pending_version() {
    let lab = lab_with_secret().await;
    let token = lab.secrets().begin_rotation("db").unwrap();
    assert_eq!(labels(&lab, &token), ["AWSPENDING"]);
    let read = json!({"SecretId": "db", "VersionId": token, "VersionStage": "AWSPENDING"});
    let text = refused(send(&lab, "GetSecretValue", read.clone()).await, "ResourceNotFoundException");
    assert_eq!(text, "Secrets Manager can't find the specified secret value for staging label: AWSPENDING");

    let put = json!({"SecretId": "db", "ClientRequestToken": token, "SecretString": "second",
        "VersionStages": ["AWSPENDING"]});
    ok(send(&lab, "PutSecretValue", put).await);
    assert_eq!(ok(send(&lab, "GetSecretValue", read).await)["SecretString"], "second");
}

#[tokio::test]
async fn rule_2_a_token_never_changes_a_value() {
    let lab = lab_with_secret().await;
    let put = |value: &str| json!({"SecretId": "db", "ClientRequestToken": TOKEN_2, "SecretString": value});
    let first = ok(send(&lab, "PutSecretValue", put("second")).await);
    let before = lab.secrets().versions("db").unwrap();
    assert_eq!(ok(send(&lab, "PutSecretValue", put("second")).await), first);
    assert_eq!(lab.secrets().versions("db").unwrap(), before);

    let text = refused(send(&lab, "PutSecretValue", put("third")).await, "ResourceExistsException");
    let arn = lab.secrets().arn("db").unwrap();
    assert_eq!(
        text,
        format!(
            "You can't use ClientRequestToken {TOKEN_2} because that value is already in use for a version of secret {arn}."
        )
    );
    assert_eq!(lab.secrets().value_of("db", TOKEN_2).unwrap(), "second");
}

#[tokio::test]
async fn rule_3_rotate_secret_is_refused_while_pending_is_elsewhere_and_cancel_leaves_the_label() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| Err("never".into()));
    let rotate =
        |token: &str| json!({"SecretId": "db", "ClientRequestToken": token, "RotationLambdaARN": arn});
    ok(send(&lab, "RotateSecret", rotate(TOKEN_2)).await);
    assert_eq!(lab.rotated(TOKEN_2).await.end, End::GivenUp);
    assert_eq!(labels(&lab, TOKEN_2), ["AWSPENDING"]);
    let text = refused(send(&lab, "RotateSecret", rotate(TOKEN_3)).await, "InvalidRequestException");
    assert_eq!(text, "A previous rotation isn't complete. That rotation will be reattempted.");

    let answer = ok(send(&lab, "CancelRotateSecret", json!({"SecretId": "db"})).await);
    assert_eq!(answer["VersionId"], TOKEN_2);
    assert_eq!(labels(&lab, TOKEN_2), ["AWSPENDING"]);
    assert_eq!(ok(send(&lab, "DescribeSecret", json!({"SecretId": "db"})).await)["RotationEnabled"], false);
    refused(send(&lab, "RotateSecret", rotate(TOKEN_3)).await, "InvalidRequestException");

    lab.secrets().remove_label("db", "AWSPENDING").unwrap();
    ok(send(&lab, "RotateSecret", rotate(TOKEN_3)).await);
}

#[tokio::test]
async fn rule_4_current_moves_by_compare_and_swap_and_drags_previous_along() {
    let lab = lab_with_secret().await;
    for token in [TOKEN_2, TOKEN_3] {
        lab.secrets().put("db", token, token, &[&format!("LABEL-{}", &token[..1])]).unwrap();
    }
    let request = |from: Option<&str>, to: &str| {
        let mut request = json!({"SecretId": "db", "VersionStage": "AWSCURRENT", "MoveToVersionId": to});
        if let Some(from) = from {
            request["RemoveFromVersionId"] = json!(from);
        }
        request
    };
    let stage = "UpdateSecretVersionStage";
    let text = refused(send(&lab, stage, request(None, TOKEN_2)).await, "InvalidParameterException");
    assert!(text.contains("RemoveFromVersionId can't be empty") && text.contains(TOKEN_1), "{text}");
    refused(send(&lab, stage, request(Some(TOKEN_3), TOKEN_2)).await, "InvalidParameterException");
    ok(send(&lab, stage, request(Some(TOKEN_1), TOKEN_2)).await);
    assert_eq!(labels(&lab, TOKEN_1), ["AWSPREVIOUS"]);
    ok(send(&lab, stage, request(Some(TOKEN_2), TOKEN_3)).await);
    assert_eq!(labels(&lab, TOKEN_1), [""; 0]);
    assert_eq!(labels(&lab, TOKEN_2), ["AWSPREVIOUS", "LABEL-2"]);
    assert_eq!(labels(&lab, TOKEN_3), ["AWSCURRENT", "LABEL-3"]);
    let text = refused(
        send(
            &lab,
            stage,
            json!({"SecretId": "db", "VersionStage": "AWSCURRENT", "RemoveFromVersionId": TOKEN_3}),
        )
        .await,
        "InvalidParameterException",
    );
    assert!(text.contains("can’t be completely removed"), "{text}");
}

#[tokio::test]
async fn rule_5_the_service_drops_pending_after_a_success() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| Ok(()));
    let rotate = json!({"SecretId": "db", "ClientRequestToken": TOKEN_2, "RotationLambdaARN": arn});
    ok(send(&lab, "RotateSecret", rotate).await);
    assert!(lab.rotated(TOKEN_2).await.succeeded());
    assert_eq!(labels(&lab, TOKEN_2), ["AWSCURRENT"]);
    assert_eq!(labels(&lab, TOKEN_1), ["AWSPREVIOUS"]);
    let described = ok(send(&lab, "DescribeSecret", json!({"SecretId": "db"})).await);
    assert!(described["LastRotatedDate"].is_number());
    let kinds: Vec<_> = lab.events().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::RotationStarted, EventKind::RotationSucceeded]);
}

#[tokio::test]
async fn rule_6_rotate_immediately_false_runs_test_secret_alone_on_a_version_that_goes_again() {
    let lab = lab_with_secret().await;
    let secrets = lab.secrets();
    let (arn, events) = attach(&lab, move |event| {
        let token = event["ClientRequestToken"].as_str().unwrap();
        assert_eq!(secrets.version_with("db", "AWSPENDING").as_deref(), Some(token));
        assert_eq!(secrets.value_of("db", token).unwrap(), "first");
        Ok(())
    });
    let rotate = json!({"SecretId": "db", "ClientRequestToken": TOKEN_2, "RotationLambdaARN": arn,
        "RotateImmediately": false, "RotationRules": {"AutomaticallyAfterDays": 30}});
    ok(send(&lab, "RotateSecret", rotate).await);
    assert!(lab.rotated(TOKEN_2).await.succeeded());
    let steps: Vec<_> = events.lock().unwrap().iter().map(|event| event["Step"].clone()).collect();
    assert_eq!(steps, ["testSecret"]);
    let versions = lab.secrets().versions("db").unwrap();
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert_eq!(versions[0].labels, ["AWSCURRENT"]);
    let described = ok(send(&lab, "DescribeSecret", json!({"SecretId": "db"})).await);
    assert_eq!(described["RotationEnabled"], true);
    assert_eq!(described.get("LastRotatedDate"), None);
}

#[tokio::test]
async fn rule_7_a_failed_step_is_retried_from_create_secret_with_the_same_token() {
    let lab = lab_with_secret().await;
    let tries = Mutex::new(0);
    let (arn, events) = attach(&lab, move |event| {
        let mut tries = tries.lock().unwrap();
        *tries += usize::from(event["Step"] == "testSecret");
        if event["Step"] == "testSecret" && *tries == 1 { Err("once".into()) } else { Ok(()) }
    });
    let rotate = json!({"SecretId": "db", "ClientRequestToken": TOKEN_2, "RotationLambdaARN": arn});
    ok(send(&lab, "RotateSecret", rotate).await);
    let rotation = lab.rotated(TOKEN_2).await;
    assert!(rotation.succeeded());
    let steps: Vec<_> = rotation.steps.iter().map(|run| (run.attempt, run.step)).collect();
    use Step::{CreateSecret, FinishSecret, SetSecret, TestSecret};
    assert_eq!(
        steps,
        [
            (1, CreateSecret),
            (1, SetSecret),
            (1, TestSecret),
            (2, CreateSecret),
            (2, SetSecret),
            (2, TestSecret),
            (2, FinishSecret)
        ]
    );
    let arn = lab.secrets().arn("db").unwrap();
    let events = events.lock().unwrap();
    for event in events.iter() {
        assert_eq!(event["SecretId"], json!(arn));
        assert_eq!(event["ClientRequestToken"], TOKEN_2);
        assert_eq!(event["RotationToken"], events[0]["RotationToken"]);
        assert_eq!(event["RotationToken"].as_str().unwrap().len(), 36);
    }
}

#[tokio::test]
async fn rule_8_versions_without_a_label_are_deprecated_but_readable_by_id() {
    let lab = lab_with_secret().await;
    for token in [TOKEN_2, TOKEN_3] {
        lab.secrets().put("db", token, token, &["AWSCURRENT"]).unwrap();
    }
    let list = async |deprecated: bool| {
        let request = json!({"SecretId": "db", "IncludeDeprecated": deprecated});
        ok(send(&lab, "ListSecretVersionIds", request).await)["Versions"].as_array().unwrap().clone()
    };
    assert_eq!(list(false).await.len(), 2);
    let all = list(true).await;
    assert_eq!(all.len(), 3);
    assert_eq!((&all[0]["VersionId"], all[0].get("VersionStages")), (&json!(TOKEN_1), None));
    let read = ok(send(&lab, "GetSecretValue", json!({"SecretId": "db", "VersionId": TOKEN_1})).await);
    assert_eq!((&read["SecretString"], read.get("VersionStages")), (&json!("first"), None));
}

#[tokio::test]
async fn rule_9_a_version_and_a_label_that_do_not_belong_together_are_an_invalid_request() {
    let lab = lab_with_secret().await;
    lab.secrets().put("db", TOKEN_2, "second", &["AWSPENDING"]).unwrap();
    let read = json!({"SecretId": "db", "VersionId": TOKEN_1, "VersionStage": "AWSPENDING"});
    let text = refused(send(&lab, "GetSecretValue", read).await, "InvalidRequestException");
    assert_eq!(text, "You provided a VersionStage that is not associated to the provided VersionId.");
}
