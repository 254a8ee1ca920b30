//! Facts recorded from the real service (LocalStack's validated snapshots), each tested over HTTP.

use std::sync::Arc;

use lab::Lab;
use serde_json::{Value, json};

use crate::client::{TOKEN_1, TOKEN_2, TOKEN_3, ok, refused, send};
use crate::rules::lab_with_secret;

const NAMED: [&str; 18] = [
    "CancelRotateSecret",
    "DeleteResourcePolicy",
    "DeleteSecret",
    "DescribeSecret",
    "GetResourcePolicy",
    "GetSecretValue",
    "ListSecretVersionIds",
    "PutResourcePolicy",
    "PutSecretValue",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "RestoreSecret",
    "RotateSecret",
    "StopReplicationToReplica",
    "TagResource",
    "UntagResource",
    "UpdateSecret",
    "UpdateSecretVersionStage",
];

async fn describe(lab: &Lab) -> Value {
    ok(send(lab, "DescribeSecret", json!({"SecretId": "db"})).await)
}

async fn move_current(lab: &Lab, from: &str, to: &str) {
    let request = json!({"SecretId": "db", "VersionStage": "AWSCURRENT", "RemoveFromVersionId": from,
        "MoveToVersionId": to});
    ok(send(lab, "UpdateSecretVersionStage", request).await);
}

#[tokio::test]
async fn names_are_validated_before_anything_else_in_every_operation() {
    let lab = Lab::start(Default::default()).await.unwrap();
    let text = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
    for name in ["Inv Name", " Inv*Name? ", "arn:aws:secretsmanager:us-east-1:000000000000:secret:a b"] {
        // Nothing else is right about these requests either.
        let answer = send(&lab, "CreateSecret", json!({"Name": name})).await;
        assert_eq!(refused(answer, "ValidationException"), text);
        for operation in NAMED.into_iter().chain(["ValidateResourcePolicy"]) {
            let answer = send(&lab, operation, json!({"SecretId": name})).await;
            assert_eq!(refused(answer, "ValidationException"), text, "{operation}");
        }
    }
    ok(send(&lab, "CreateSecret", json!({"Name": "Valid/_+=.@-Name", "ClientRequestToken": TOKEN_1})).await);
}

#[tokio::test]
async fn a_missing_token_is_told_before_the_secret_is_looked_up() {
    let lab = Lab::start(Default::default()).await.unwrap();
    let text = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    for (operation, kind) in [
        ("CreateSecret", "InvalidRequestException"),
        ("PutSecretValue", "InvalidRequestException"),
        ("UpdateSecret", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
    ] {
        let request = json!({"Name": "none", "SecretId": "none", "SecretString": "x", "Description": "x"});
        assert_eq!(refused(send(&lab, operation, request).await, kind), text, "{operation}");
    }
}

#[tokio::test]
async fn a_missing_secret_version_or_label_has_a_text_of_its_own() {
    let lab = lab_with_secret().await;
    let missing = "Secrets Manager can't find the specified secret";
    for operation in NAMED {
        let request = json!({"SecretId": "none", "ClientRequestToken": TOKEN_2, "SecretString": "x", "Tags": [],
            "TagKeys": [], "VersionStage": "x", "ResourcePolicy": "{}", "AddReplicaRegions": [{"Region": "eu-west-1"}],
            "RemoveReplicaRegions": ["eu-west-1"], "RotationLambdaARN": "x"});
        let text = refused(send(&lab, operation, request).await, "ResourceNotFoundException");
        assert_eq!(text, format!("{missing}."), "{operation}");
    }
    for (request, what) in [
        (json!({"SecretId": "db", "VersionId": TOKEN_2}), format!("VersionId: {TOKEN_2}")),
        (json!({"SecretId": "db", "VersionStage": "AWSPREVIOUS"}), "staging label: AWSPREVIOUS".to_owned()),
    ] {
        let text = refused(send(&lab, "GetSecretValue", request).await, "ResourceNotFoundException");
        assert_eq!(text, format!("{missing} value for {what}"));
    }
    ok(send(&lab, "CreateSecret", json!({"Name": "empty", "ClientRequestToken": TOKEN_1})).await);
    let text = refused(
        send(&lab, "GetSecretValue", json!({"SecretId": "empty"})).await,
        "ResourceNotFoundException",
    );
    assert_eq!(text, format!("{missing} value for staging label: AWSCURRENT"));
}

#[tokio::test]
async fn a_plain_put_over_a_version_that_is_current_and_pending_removes_pending_altogether() {
    let lab = lab_with_secret().await;
    lab.secrets().put("db", TOKEN_2, "second", &["AWSPENDING"]).unwrap();
    move_current(&lab, TOKEN_1, TOKEN_2).await;
    assert_eq!(
        describe(&lab).await["VersionIdsToStages"],
        json!({TOKEN_1: ["AWSPREVIOUS"], TOKEN_2: ["AWSCURRENT", "AWSPENDING"]})
    );
    let put = json!({"SecretId": "db", "ClientRequestToken": TOKEN_3, "SecretString": "third"});
    assert_eq!(ok(send(&lab, "PutSecretValue", put).await)["VersionStages"], json!(["AWSCURRENT"]));
    assert_eq!(
        describe(&lab).await["VersionIdsToStages"],
        json!({TOKEN_2: ["AWSPREVIOUS"], TOKEN_3: ["AWSCURRENT"]})
    );
}

#[tokio::test]
async fn moving_current_keeps_pending_and_the_next_pending_put_takes_the_leftover_away() {
    let lab = lab_with_secret().await;
    lab.secrets().put("db", TOKEN_2, "second", &["AWSPENDING", "MINE"]).unwrap();
    move_current(&lab, TOKEN_1, TOKEN_2).await;
    lab.secrets().put("db", TOKEN_3, "third", &["AWSPENDING"]).unwrap();
    assert_eq!(
        describe(&lab).await["VersionIdsToStages"],
        json!({TOKEN_1: ["AWSPREVIOUS"], TOKEN_2: ["AWSCURRENT", "MINE"], TOKEN_3: ["AWSPENDING"]})
    );
    move_current(&lab, TOKEN_2, TOKEN_3).await;
    assert_eq!(
        describe(&lab).await["VersionIdsToStages"],
        json!({TOKEN_2: ["AWSPREVIOUS", "MINE"], TOKEN_3: ["AWSCURRENT", "AWSPENDING"]})
    );
}

#[tokio::test]
async fn labels_of_ones_own_move_with_a_put_that_names_them() {
    let lab = lab_with_secret().await;
    lab.secrets().put("db", TOKEN_2, "second", &["one", "two", "three"]).unwrap();
    lab.secrets().put("db", TOKEN_3, "third", &["one", "two", "four"]).unwrap();
    assert_eq!(
        describe(&lab).await["VersionIdsToStages"],
        json!({TOKEN_1: ["AWSCURRENT"], TOKEN_2: ["three"], TOKEN_3: ["four", "one", "two"]})
    );
}

#[tokio::test]
async fn a_refused_rotate_secret_leaves_no_trace() {
    let lab = lab_with_secret().await;
    let attached = lab.attach("rotate", Arc::new(|_| async { Ok(Value::Null) }));
    let before = (describe(&lab).await, lab.secrets().versions("db").unwrap());
    let rules = json!({"AutomaticallyAfterDays": 30});
    let both = json!({"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(3 days)"});
    let rotate = |function: Value, rules: Value| json!({"SecretId": "db", "ClientRequestToken": TOKEN_2, "RotationLambdaARN": function, "RotationRules": rules});
    let absent = "arn:aws:lambda:us-east-1:000000000000:function:absent";
    for (request, kind, expected) in [
        (
            rotate(Value::Null, rules.clone()),
            "InvalidRequestException",
            "No Lambda rotation function ARN is associated with this secret.",
        ),
        (
            rotate(json!(absent), rules),
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.",
        ),
        (
            rotate(json!(attached), both),
            "InvalidParameterException",
            "You cannot specify both rotation frequency and schedule expression together.",
        ),
    ] {
        assert_eq!(refused(send(&lab, "RotateSecret", request).await, kind), expected);
        assert_eq!((describe(&lab).await, lab.secrets().versions("db").unwrap()), before);
    }
}

#[tokio::test]
async fn same_token_and_other_value_names_the_full_arn_in_create_put_and_update_alike() {
    let lab = lab_with_secret().await;
    let arn = lab.secrets().arn("db").unwrap();
    for operation in ["CreateSecret", "PutSecretValue", "UpdateSecret"] {
        let request = |value: &str| json!({"Name": "db", "SecretId": "db", "ClientRequestToken": TOKEN_1, "SecretString": value});
        let text = refused(send(&lab, operation, request("other")).await, "ResourceExistsException");
        let expected = format!(
            "You can't use ClientRequestToken {TOKEN_1} because that value is already in use for a version of secret {arn}."
        );
        assert_eq!(text, expected, "{operation}");
        ok(send(&lab, operation, request("first")).await);
    }
    let create = json!({"Name": "db", "ClientRequestToken": TOKEN_2, "SecretString": "first"});
    let text = refused(send(&lab, "CreateSecret", create).await, "ResourceExistsException");
    assert_eq!(text, "The operation failed because the secret db already exists.");
}

#[tokio::test]
async fn a_missing_member_is_absent_and_not_empty() {
    let lab = Lab::start(Default::default()).await.unwrap();
    ok(send(&lab, "CreateSecret", json!({"Name": "db", "ClientRequestToken": TOKEN_1})).await);
    let members = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&describe(&lab).await), ["ARN", "CreatedDate", "LastChangedDate", "Name"]);
    for (operation, request, expected) in [
        (
            "TagResource",
            json!({"SecretId": "db", "Tags": [{"Key": "tag1", "Value": "value1"}]}),
            json!([{"Key": "tag1", "Value": "value1"}]),
        ),
        ("UntagResource", json!({"SecretId": "db", "TagKeys": ["tag1"]}), json!([])),
    ] {
        ok(send(&lab, operation, request).await);
        assert_eq!(describe(&lab).await["Tags"], expected);
    }
    // A put of a secret's first version attaches AWSCURRENT whatever it asks for.
    lab.secrets().put("db", TOKEN_2, "first", &["MINE"]).unwrap();
    assert_eq!(describe(&lab).await["VersionIdsToStages"], json!({TOKEN_2: ["AWSCURRENT", "MINE"]}));
    // UpdateSecret without a value makes no version, and names none.
    let update = json!({"SecretId": "db", "ClientRequestToken": TOKEN_3, "Description": "text"});
    assert_eq!(members(&ok(send(&lab, "UpdateSecret", update).await)), ["ARN", "Name"]);
}

#[tokio::test]
async fn an_arn_works_without_its_suffix_unless_the_name_looks_like_one_with() {
    let lab = lab_with_secret().await;
    let arn = lab.secrets().arn("db").unwrap();
    let (partial, suffix) = arn.rsplit_once('-').unwrap();
    assert!(suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()), "{arn}");
    for id in ["db", &arn, partial] {
        ok(send(&lab, "GetSecretValue", json!({"SecretId": id})).await);
    }
    let create = json!({"Name": "Name-a1b2c3", "ClientRequestToken": TOKEN_1, "SecretString": "x"});
    let arn = ok(send(&lab, "CreateSecret", create).await)["ARN"].as_str().unwrap().to_owned();
    ok(send(&lab, "GetSecretValue", json!({"SecretId": arn})).await);
    let partial = json!({"SecretId": arn.rsplit_once('-').unwrap().0});
    let text = refused(send(&lab, "GetSecretValue", partial).await, "ResourceNotFoundException");
    assert_eq!(text, "Secrets Manager can't find the specified secret.");
}

#[tokio::test]
async fn a_deleted_secret_can_be_described_and_restored_and_its_name_is_taken() {
    let lab = lab_with_secret().await;
    ok(send(&lab, "DeleteSecret", json!({"SecretId": "db"})).await);
    assert!(describe(&lab).await["DeletedDate"].is_number());
    let tags = json!({"SecretId": "db", "Tags": [], "TagKeys": []});
    for operation in ["TagResource", "UntagResource", "GetSecretValue"] {
        let text = refused(send(&lab, operation, tags.clone()).await, "InvalidRequestException");
        assert_eq!(
            text,
            "You can't perform this operation on the secret because it was marked for deletion."
        );
    }
    let create = json!({"Name": "db", "ClientRequestToken": TOKEN_2});
    let text = refused(send(&lab, "CreateSecret", create.clone()).await, "InvalidRequestException");
    assert_eq!(
        text,
        "You can't create this secret because a secret with this name is already scheduled for deletion."
    );
    ok(send(&lab, "RestoreSecret", json!({"SecretId": "db"})).await);
    assert_eq!(describe(&lab).await.get("DeletedDate"), None);

    ok(send(&lab, "DeleteSecret", json!({"SecretId": "db"})).await);
    ok(send(&lab, "DeleteSecret", json!({"SecretId": "db", "ForceDeleteWithoutRecovery": true})).await);
    ok(send(&lab, "CreateSecret", create).await);
}
