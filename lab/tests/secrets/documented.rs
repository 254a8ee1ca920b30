//! What the API reference and user guide say, where nothing is recorded.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::secrets::Account;
use lab::{Lab, Options};
use serde_json::{Value, json};

use crate::client::{TOKEN_1, TOKEN_2, TOKEN_3, ok, refused, send, send_as};
use crate::rules::lab_with_secret;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn the_recovery_window_is_7_to_30_days_and_then_the_secret_is_gone() {
    let lab = lab_with_secret().await;
    let delete = |days: i64| json!({"SecretId": "db", "RecoveryWindowInDays": days});
    for days in [6, 31] {
        let text = refused(send(&lab, "DeleteSecret", delete(days)).await, "InvalidParameterException");
        assert_eq!(text, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
    }
    let both = json!({"SecretId": "db", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true});
    refused(send(&lab, "DeleteSecret", both).await, "InvalidParameterException");
    let deleted = ok(send(&lab, "DeleteSecret", delete(7)).await);
    let window = deleted["DeletionDate"].as_f64().unwrap() - lab.clock().now().0 as f64 / 1000.0;
    assert!((window - 7.0 * 86_400.0).abs() < 60.0, "{window}");
    refused(send(&lab, "DeleteSecret", delete(7)).await, "InvalidRequestException");
    lab.clock().advance(DAY * 6);
    ok(send(&lab, "DescribeSecret", json!({"SecretId": "db"})).await);
    lab.clock().advance(DAY);
    refused(send(&lab, "DescribeSecret", json!({"SecretId": "db"})).await, "ResourceNotFoundException");
    // Deleting by force what is not there is success, so that retries work.
    ok(send(&lab, "DeleteSecret", json!({"SecretId": "db", "ForceDeleteWithoutRecovery": true})).await);
}

#[tokio::test]
async fn about_a_hundred_deprecated_versions_are_kept_and_all_younger_than_a_day() {
    let lab = lab_with_secret().await;
    let put = |n: u32| lab.secrets().put("db", &format!("{n:032}"), "value", &["AWSCURRENT"]).unwrap();
    (0..150).for_each(put);
    assert_eq!(lab.secrets().versions("db").unwrap().len(), 151);
    lab.clock().advance(DAY);
    put(150);
    let versions = lab.secrets().versions("db").unwrap();
    assert_eq!(versions.iter().filter(|version| version.labels.is_empty()).count(), 101);
    put(151);
    let versions = lab.secrets().versions("db").unwrap();
    assert_eq!(versions.iter().filter(|version| version.labels.is_empty()).count(), 101);
    assert_eq!(versions.last().unwrap().labels, ["AWSCURRENT"]);
}

#[tokio::test]
async fn a_value_has_at_most_65536_bytes_and_is_text_or_binary_but_not_both() {
    let lab = lab_with_secret().await;
    let put = async |value: Value| {
        let mut request = json!({"SecretId": "db", "ClientRequestToken": TOKEN_2});
        request.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        send(&lab, "PutSecretValue", request).await
    };
    let text = refused(put(json!({"SecretString": "x".repeat(65_537)})).await, "ValidationException");
    assert_eq!(
        text,
        "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536"
    );
    refused(put(json!({"SecretString": ""})).await, "ValidationException");
    refused(put(json!({"SecretString": "x", "SecretBinary": "eA=="})).await, "InvalidParameterException");
    refused(put(json!({"SecretBinary": "no base64!"})).await, "SerializationException");
    refused(put(json!({})).await, "InvalidRequestException");
    ok(put(json!({"SecretString": "x".repeat(65_536)})).await);
    let binary = json!({"SecretId": "db", "ClientRequestToken": TOKEN_3, "SecretBinary": "AAEC/w=="});
    ok(send(&lab, "PutSecretValue", binary).await);
    let read = ok(send(&lab, "GetSecretValue", json!({"SecretId": "db"})).await);
    assert_eq!((&read["SecretBinary"], read.get("SecretString")), (&json!("AAEC/w=="), None));
}

#[tokio::test]
async fn lists_come_in_pages_filtered_and_sorted() {
    let lab = Lab::start(Default::default()).await.unwrap();
    for n in 0..250 {
        let tags = json!([{"Key": if n < 5 { "team" } else { "other" }, "Value": format!("v{n}")}]);
        let request = json!({"Name": format!("app/{n:03}"), "ClientRequestToken": TOKEN_1, "Tags": tags,
            "Description": if n % 2 == 0 { "Even Secret" } else { "odd one" }});
        lab.secrets().call("CreateSecret", request).unwrap();
    }
    let names = async |mut request: Value| {
        let mut names = Vec::new();
        let mut pages = 0;
        loop {
            let answer = ok(send(&lab, "ListSecrets", request.clone()).await);
            let page = answer["SecretList"].as_array().unwrap().clone();
            assert!(page.len() <= 100);
            names.extend(page.iter().map(|secret| secret["Name"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(next) = answer.get("NextToken") else { return (names, pages) };
            request["NextToken"] = next.clone();
        }
    };
    let sorted: Vec<String> = (0..250).map(|n| format!("app/{n:03}")).collect();
    assert_eq!(names(json!({"SortBy": "name", "SortOrder": "asc"})).await, (sorted.clone(), 3));
    assert_eq!(
        names(json!({"SortBy": "name", "SortOrder": "asc", "MaxResults": 50})).await,
        (sorted.clone(), 5)
    );
    assert_eq!(names(json!({})).await, (sorted, 3), "the oldest comes first");
    for (filter, expected) in [
        (json!([{"Key": "name", "Values": ["app/00"]}]), 10),
        (json!([{"Key": "name", "Values": ["APP/00"]}]), 0),
        (json!([{"Key": "name", "Values": ["!app/00"]}]), 240),
        (json!([{"Key": "tag-key", "Values": ["tea"]}]), 5),
        (json!([{"Key": "tag-value", "Values": ["v24"]}]), 11),
        (json!([{"Key": "description", "Values": ["even"]}]), 125),
        (json!([{"Key": "all", "Values": ["ODD team"]}]), 0),
        (json!([{"Key": "all", "Values": ["secret"]}, {"Key": "tag-key", "Values": ["team"]}]), 3),
        // None is replicated.
        (json!([{"Key": "primary-region", "Values": ["us-"]}]), 0),
        (json!([{"Key": "owning-service", "Values": ["rds"]}]), 0),
    ] {
        assert_eq!(names(json!({"Filters": filter})).await.0.len(), expected, "{filter}");
    }
    refused(send(&lab, "ListSecrets", json!({"NextToken": "made up"})).await, "InvalidNextTokenException");
    refused(send(&lab, "ListSecrets", json!({"MaxResults": 101})).await, "ValidationException");
    let filters = json!([{"Key": "name", "Values": ["x"]}, {"Key": "no", "Values": ["x"]}]);
    let text = refused(send(&lab, "ListSecrets", json!({"Filters": filters})).await, "ValidationException");
    assert!(text.contains("Value 'no' at 'filters.2.member.key' failed"), "{text}");
}

#[tokio::test]
async fn the_filter_for_everything_finds_words_and_a_capital_begins_one() {
    let lab = Lab::start(Default::default()).await.unwrap();
    for name in ["prod/AppBeta/x", "prod/appgamma", "alphaBET-1"] {
        lab.secrets().create(name, "value").unwrap();
    }
    for (value, expected) in
        [("Beta", 1), ("beta", 1), ("appb", 0), ("app", 2), ("gamma", 0), ("bet", 1), ("prod x", 1)]
    {
        let filters = json!([{"Key": "all", "Values": [value]}]);
        let answer = ok(send(&lab, "ListSecrets", json!({"Filters": filters})).await);
        assert_eq!(answer["SecretList"].as_array().unwrap().len(), expected, "{value}: {answer}");
    }
}

#[tokio::test]
async fn batch_get_reads_many_and_tells_what_it_could_not_read() {
    let lab = lab_with_secret().await;
    lab.secrets().create("other", "second").unwrap();
    let answer = ok(send(&lab, "BatchGetSecretValue", json!({"SecretIdList": ["db", "none"]})).await);
    assert_eq!(answer["SecretValues"][0]["SecretString"], "first");
    assert_eq!(answer["Errors"][0]["SecretId"], "none");
    assert_eq!(answer["Errors"][0]["ErrorCode"], "ResourceNotFoundException");
    let filters = json!([{"Key": "name", "Values": ["d", "o"]}]);
    let page = ok(send(&lab, "BatchGetSecretValue", json!({"Filters": filters, "MaxResults": 1})).await);
    assert_eq!(page["SecretValues"].as_array().unwrap().len(), 1);
    assert!(page["NextToken"].is_string());
    for request in [
        json!({}),
        json!({"SecretIdList": ["db"], "Filters": filters}),
        json!({"SecretIdList": ["db"], "MaxResults": 1}),
    ] {
        refused(send(&lab, "BatchGetSecretValue", request).await, "InvalidParameterException");
    }
}

#[tokio::test]
async fn random_passwords_keep_to_every_knob() {
    let lab = Lab::start(Default::default()).await.unwrap();
    let letters = |password: &str| password.chars().collect::<BTreeSet<_>>();
    let password = async |request: Value| {
        let answer = ok(send(&lab, "GetRandomPassword", request).await);
        answer["RandomPassword"].as_str().unwrap().to_owned()
    };
    assert_eq!(password(json!({})).await.len(), 32);
    let knobs = json!({"PasswordLength": 4096, "ExcludeCharacters": "/@\"'\\"});
    let seen = letters(&password(knobs).await);
    assert_eq!(seen.len(), 26 + 26 + 10 + 32 - 5);
    assert!(!seen.iter().any(|letter| "/@\"'\\ ".contains(*letter)));
    let knobs = json!({"PasswordLength": 4096, "ExcludePunctuation": true, "ExcludeUppercase": true,
        "ExcludeNumbers": true, "IncludeSpace": true});
    assert_eq!(letters(&password(knobs).await), letters("abcdefghijklmnopqrstuvwxyz "));
    for _ in 0..50 {
        let short = password(json!({"PasswordLength": 4})).await;
        let has = |kind: fn(&char) -> bool| short.chars().any(|letter| kind(&letter));
        assert!(has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase), "{short}");
        assert!(has(char::is_ascii_digit) && has(char::is_ascii_punctuation), "{short}");
    }
    assert_eq!(password(json!({"PasswordLength": 1, "RequireEachIncludedType": false})).await.len(), 1);
    // A space may come up and is not required.
    assert_eq!(password(json!({"PasswordLength": 4, "IncludeSpace": true})).await.len(), 4);
    for request in [
        json!({"PasswordLength": 3}),
        json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludeNumbers": true, "ExcludePunctuation": true}),
    ] {
        refused(send(&lab, "GetRandomPassword", request).await, "InvalidParameterException");
    }
    refused(send(&lab, "GetRandomPassword", json!({"PasswordLength": 4097})).await, "ValidationException");
}

#[tokio::test]
async fn a_replica_follows_its_primary_refuses_writes_and_can_be_promoted() {
    let lab = lab_with_secret().await;
    let there = async |operation: &str, mut request: Value| {
        request["SecretId"] = json!("db");
        send_as(&lab, Some(("key", "eu-west-1")), operation, request).await
    };
    let replicate = json!({"SecretId": "db", "AddReplicaRegions": [{"Region": "eu-west-1"}]});
    let answer = ok(send(&lab, "ReplicateSecretToRegions", replicate).await);
    assert_eq!(answer["ReplicationStatus"][0]["Status"], "InSync");
    lab.secrets().put("db", TOKEN_2, "second", &["AWSCURRENT"]).unwrap();
    let read = ok(there("GetSecretValue", json!({})).await);
    assert_eq!(read["SecretString"], "second");
    let primary = lab.secrets().arn("db").unwrap();
    assert_eq!(read["ARN"], primary.replace("us-east-1", "eu-west-1"));
    let described = ok(there("DescribeSecret", json!({})).await);
    assert_eq!(described["PrimaryRegion"], "us-east-1");
    let put = json!({"ClientRequestToken": TOKEN_3, "SecretString": "third"});
    let text = refused(there("PutSecretValue", put.clone()).await, "InvalidParameterException");
    assert_eq!(
        text,
        "Operation not permitted on a replica secret. Call must be made in primary secret's region."
    );
    let text =
        refused(send(&lab, "DeleteSecret", json!({"SecretId": "db"})).await, "InvalidParameterException");
    assert_eq!(
        text,
        format!("You can't delete secret {primary} that still has replica regions [eu-west-1].")
    );

    ok(there("StopReplicationToReplica", json!({})).await);
    ok(there("PutSecretValue", put).await);
    assert_eq!(lab.secrets().value("db", "AWSCURRENT").unwrap(), "second");
    assert_eq!(lab.secrets().in_region("eu-west-1").value("db", "AWSCURRENT").unwrap(), "third");
    refused(there("StopReplicationToReplica", json!({})).await, "InvalidRequestException");
    ok(send(&lab, "DeleteSecret", json!({"SecretId": "db"})).await);
}

#[tokio::test]
async fn a_name_that_is_taken_in_the_other_region_fails_unless_it_may_be_overwritten() {
    let lab = lab_with_secret().await;
    let there = lab.secrets().in_region("eu-west-1");
    there.create("db", "their own").unwrap();
    let replicate = |overwrite: bool| {
        json!({"SecretId": "db", "AddReplicaRegions": [{"Region": "eu-west-1", "KmsKeyId": "alias/mine"}],
            "ForceOverwriteReplicaSecret": overwrite})
    };
    let status = async |overwrite: bool| {
        ok(send(&lab, "ReplicateSecretToRegions", replicate(overwrite)).await)["ReplicationStatus"][0].clone()
    };
    let failed = status(false).await;
    assert_eq!(failed["Status"], "Failed");
    assert_eq!(
        failed["StatusMessage"],
        "Replication failed: Secret name db already exists in region eu-west-1."
    );
    assert_eq!(there.value("db", "AWSCURRENT").unwrap(), "their own");
    assert_eq!(status(true).await["Status"], "InSync");
    assert_eq!(there.value("db", "AWSCURRENT").unwrap(), "first");
    let remove = json!({"SecretId": "db", "RemoveReplicaRegions": ["eu-west-1"]});
    let answer = ok(send(&lab, "RemoveRegionsFromReplication", remove).await);
    assert_eq!(answer["ReplicationStatus"], json!([]));
    assert_eq!(there.value("db", "AWSCURRENT"), None);
}

#[tokio::test]
async fn another_account_needs_a_policy_that_lets_it_in() {
    let other = Account { id: "111122223333".into(), secret_key: String::new() };
    let options = Options { accounts: [("theirs".to_owned(), other)].into(), ..Options::default() };
    let lab = Lab::start(options).await.unwrap();
    let arn = lab.secrets().create("db", "first").unwrap();
    let theirs = async |operation: &str, id: &str| {
        send_as(&lab, Some(("theirs", "us-east-1")), operation, json!({"SecretId": id})).await
    };
    refused(theirs("GetSecretValue", "db").await, "ResourceNotFoundException");
    let text = refused(theirs("GetSecretValue", &arn).await, "AccessDeniedException");
    assert!(
        text.contains("111122223333")
            && text.ends_with(
                "because no resource-based policy allows the secretsmanager:GetSecretValue action"
            ),
        "{text}"
    );

    let policy = |effect: &str, principal: Value| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Principal": principal,
            "Action": "secretsmanager:Get*", "Resource": "*"}]})
        .to_string()
    };
    let put = async |policy: String, block: bool| {
        let request = json!({"SecretId": "db", "ResourcePolicy": policy, "BlockPublicPolicy": block});
        send(&lab, "PutResourcePolicy", request).await
    };
    let theirs_only = json!({"AWS": "arn:aws:iam::111122223333:root"});
    ok(put(policy("Allow", theirs_only.clone()), true).await);
    assert_eq!(ok(theirs("GetSecretValue", &arn).await)["SecretString"], "first");
    refused(theirs("DescribeSecret", &arn).await, "AccessDeniedException");
    ok(put(policy("Deny", theirs_only), true).await);
    let text = refused(theirs("GetSecretValue", &arn).await, "AccessDeniedException");
    assert!(text.ends_with("with an explicit deny in a resource-based policy"), "{text}");
    refused(put(policy("Allow", json!("*")), true).await, "PublicPolicyException");
    refused(put("no json".into(), false).await, "MalformedPolicyDocumentException");
    refused(put("{}".into(), false).await, "MalformedPolicyDocumentException");

    let read = ok(send(&lab, "GetResourcePolicy", json!({"SecretId": "db"})).await);
    assert!(read["ResourcePolicy"].as_str().unwrap().contains("Deny"));
    ok(send(&lab, "DeleteResourcePolicy", json!({"SecretId": "db"})).await);
    assert_eq!(
        ok(send(&lab, "GetResourcePolicy", json!({"SecretId": "db"})).await).get("ResourcePolicy"),
        None
    );
    let validate = json!({"ResourcePolicy": policy("Allow", json!("*"))});
    let answer = ok(send(&lab, "ValidateResourcePolicy", validate).await);
    assert_eq!(answer["PolicyValidationPassed"], false);
}

#[tokio::test]
async fn conditions_of_a_policy_decide_and_unknown_ones_close_the_door() {
    let other = Account { id: "111122223333".into(), secret_key: String::new() };
    let options = Options { accounts: [("theirs".to_owned(), other)].into(), ..Options::default() };
    let lab = Lab::start(options).await.unwrap();
    lab.secrets().create("db", "first").unwrap();
    let tags = json!({"SecretId": "db", "Tags": [{"Key": "team", "Value": "payments"}]});
    ok(send(&lab, "TagResource", tags).await);
    let read = async |effect: &str, condition: Value, stage: &str| {
        let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Principal": {"AWS": "*"},
            "Action": "secretsmanager:GetSecretValue", "Resource": "*", "Condition": condition}});
        let put = json!({"SecretId": "db", "ResourcePolicy": policy.to_string()});
        ok(send(&lab, "PutResourcePolicy", put).await);
        let read = json!({"SecretId": lab.secrets().arn("db").unwrap(), "VersionStage": stage});
        let caller = (effect == "Allow").then_some(("theirs", "us-east-1"));
        send_as(&lab, caller, "GetSecretValue", read).await
    };
    let theirs = |account: &str| json!({"StringEquals": {"aws:PrincipalAccount": account}});
    ok(read("Allow", theirs("111122223333"), "AWSCURRENT").await);
    refused(read("Allow", theirs("444455556666"), "AWSCURRENT").await, "AccessDeniedException");
    let unknown = json!({"IpAddress": {"aws:SourceIp": "127.0.0.1/32"}});
    refused(read("Allow", unknown.clone(), "AWSCURRENT").await, "AccessDeniedException");

    let current_only = json!({"StringNotEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}});
    ok(read("Deny", current_only.clone(), "AWSCURRENT").await);
    refused(read("Deny", current_only, "AWSPENDING").await, "AccessDeniedException");
    ok(read("Deny", json!({"StringLike": {"aws:ResourceTag/team": "front*"}}), "AWSCURRENT").await);
    refused(read("Deny", unknown, "AWSCURRENT").await, "AccessDeniedException");
}

#[tokio::test]
async fn requests_that_are_no_requests_are_told_so() {
    let lab = lab_with_secret().await;
    refused(send(&lab, "NoSuchOperation", json!({})).await, "UnknownOperationException");
    refused(send(&lab, "DescribeSecret", json!([])).await, "SerializationException");
    refused(send(&lab, "DescribeSecret", json!({"SecretId": 7})).await, "SerializationException");
    let text = refused(send(&lab, "DescribeSecret", json!({})).await, "ValidationException");
    assert_eq!(
        text,
        "1 validation error detected: Value at 'secretId' failed to satisfy constraint: Member must not be null"
    );
    let read = json!({"SecretId": "db", "VersionId": "short"});
    refused(send(&lab, "GetSecretValue", read).await, "ValidationException");
}
