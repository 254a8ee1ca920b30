//! What the service does after RotateSecret, beyond the nine rules.

use std::sync::Arc;
use std::time::Duration;

use lab::Lab;
use lab::rotation::{End, EventKind, InvokeError, Step};
use lab::secrets::Moment;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::client::{TOKEN_1, TOKEN_2, TOKEN_3, ok, refused, send};
use crate::rules::{attach, lab_with_secret, rotate_in_place};

async fn describe(lab: &Lab) -> Value {
    ok(send(lab, "DescribeSecret", json!({"SecretId": "db"})).await)
}

async fn rotate(lab: &Lab, token: &str, more: Value) -> Option<(u16, Value)> {
    let mut request = json!({"SecretId": "db", "ClientRequestToken": token});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    send(lab, "RotateSecret", request).await
}

fn kinds(lab: &Lab) -> Vec<EventKind> {
    lab.events().iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_rotation_awaited_tells_its_steps_and_their_times() {
    let lab = lab_with_secret().await;
    attach(&lab, |_| Ok(()));
    lab.secrets().enable_rotation("db", "rotate").unwrap();
    let rotation = lab.rotate("db").await.unwrap();
    assert_eq!(rotation.end, End::Succeeded);
    assert_eq!(rotation.steps.iter().map(|run| run.step).collect::<Vec<_>>(), Step::ALL);
    for pair in rotation.steps.windows(2) {
        assert!(pair[0].at + pair[0].duration <= pair[1].at, "{pair:?}");
    }
    assert_eq!(lab.secrets().version_with("db", "AWSCURRENT"), Some(rotation.token));
    // Nothing of it is in the log of calls: no client made one.
    lab.clear_calls();
    lab.rotate("db").await.unwrap();
    assert!(lab.calls().is_empty());
}

#[tokio::test]
async fn a_follower_receives_every_event_and_not_only_the_newest_thousand() {
    let lab = lab_with_secret().await;
    attach(&lab, |_| Ok(()));
    lab.secrets().enable_rotation("db", "rotate").unwrap();
    let mut events = lab.follow();
    for _ in 0..501 {
        let token = lab.rotate("db").await.unwrap().token;
        for kind in [EventKind::RotationStarted, EventKind::RotationSucceeded] {
            let event = events.recv().await.unwrap();
            assert_eq!((event.kind, event.token), (kind, token.clone()));
        }
    }
    assert_eq!(lab.events().len(), 1000);
}

#[tokio::test]
async fn steps_can_be_driven_one_by_one_twice_and_out_of_order() {
    let lab = lab_with_secret().await;
    attach(&lab, |_| Ok(()));
    lab.secrets().enable_rotation("db", "rotate").unwrap();
    let token = lab.secrets().begin_rotation("db").unwrap();
    for step in
        [Step::TestSecret, Step::CreateSecret, Step::CreateSecret, Step::SetSecret, Step::FinishSecret]
    {
        lab.step("db", &token, step).await.unwrap();
    }
    let labels = |version: &str| {
        let versions = lab.secrets().versions("db").unwrap();
        versions.into_iter().find(|v| v.id == version).unwrap().labels
    };
    assert_eq!(labels(&token), ["AWSCURRENT", "AWSPENDING"]);
    lab.secrets().end_rotation("db").unwrap();
    assert_eq!(labels(&token), ["AWSCURRENT"]);
    assert_eq!(labels(TOKEN_1), ["AWSPREVIOUS"]);
}

#[tokio::test]
async fn a_function_that_is_not_there_or_does_not_promote_is_a_failure_with_its_reason() {
    let lab = lab_with_secret().await;
    lab.secrets().enable_rotation("db", "absent").unwrap();
    let token = lab.secrets().begin_rotation("db").unwrap();
    let error = lab.step("db", &token, Step::CreateSecret).await.unwrap_err();
    assert_eq!(error, InvokeError::NotInvokable("no function is attached to the secret".into()));
    let secrets = lab.secrets();
    attach(&lab, move |event| {
        // What the step would have promoted is promoted no longer.
        let token = event["ClientRequestToken"].as_str().unwrap();
        if event["Step"] == "finishSecret"
            && secrets.version_with("db", "AWSPENDING").as_deref() == Some(token)
        {
            return Err("refuses to finish".into());
        }
        Ok(())
    });
    lab.secrets().enable_rotation("db", "rotate").unwrap();
    let rotation = lab.reattempt("db", &token).await.unwrap();
    assert_eq!((rotation.end, rotation.steps.len()), (End::GivenUp, 12));
    let error = rotation.steps[3].result.clone().unwrap_err();
    assert_eq!(error.to_string(), "Error: refuses to finish");
    assert_eq!(kinds(&lab), [EventKind::RotationStarted, EventKind::RotationFailed]);
}

#[tokio::test]
async fn a_function_that_panics_has_failed() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| panic!("on purpose"));
    ok(rotate(&lab, TOKEN_2, json!({"RotationLambdaARN": arn})).await);
    let rotation = lab.rotated(TOKEN_2).await;
    assert_eq!(rotation.end, End::GivenUp);
    assert_eq!(rotation.steps[0].result.clone().unwrap_err().to_string(), "Panic: the function panicked");
}

#[tokio::test]
async fn a_rotation_that_was_given_up_is_finished_by_trying_it_again_under_its_token() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| Err("down".into()));
    ok(rotate(&lab, TOKEN_2, json!({"RotationLambdaARN": arn})).await);
    assert_eq!(lab.rotated(TOKEN_2).await.end, End::GivenUp);
    refused(rotate(&lab, TOKEN_3, json!({})).await, "InvalidRequestException");
    // The same request again is a repetition: success, and nothing new.
    assert_eq!(ok(rotate(&lab, TOKEN_2, json!({})).await)["VersionId"], TOKEN_2);
    attach(&lab, |_| Ok(()));
    assert!(lab.reattempt("db", TOKEN_2).await.unwrap().succeeded());
    assert_eq!(lab.secrets().version_with("db", "AWSCURRENT").as_deref(), Some(TOKEN_2));
    assert_eq!(lab.secrets().version_with("db", "AWSPENDING"), None);
}

/// Attaches a function that waits in setSecret until it gets a permit, and says when it is there.
fn attach_waiting(lab: &Lab) -> (Arc<Semaphore>, Arc<Semaphore>) {
    let (there, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (secrets, ends) = (lab.secrets(), (Arc::clone(&there), Arc::clone(&go)));
    let function = move |event: Value| {
        let (secrets, there, go) = (secrets.clone(), Arc::clone(&there), Arc::clone(&go));
        async move {
            if event["Step"] == "setSecret" {
                there.add_permits(1);
                go.acquire().await.unwrap().forget();
            }
            rotate_in_place(&secrets, &event)?;
            Ok(Value::Null)
        }
    };
    lab.attach("rotate", Arc::new(function));
    lab.secrets().enable_rotation("db", "rotate").unwrap();
    ends
}

#[tokio::test]
async fn cancelling_ends_the_rotation_after_the_step_that_runs_and_leaves_the_label() {
    let lab = lab_with_secret().await;
    let (there, go) = attach_waiting(&lab);
    // RotateSecret answers at once, while the function still runs.
    ok(rotate(&lab, TOKEN_2, json!({})).await);
    there.acquire().await.unwrap().forget();
    ok(send(&lab, "CancelRotateSecret", json!({"SecretId": "db"})).await);
    go.add_permits(1);
    let rotation = lab.rotated(TOKEN_2).await;
    assert_eq!((rotation.end, rotation.steps.len()), (End::Cancelled, 2));
    assert_eq!(lab.secrets().version_with("db", "AWSPENDING").as_deref(), Some(TOKEN_2));
    assert_eq!(lab.secrets().version_with("db", "AWSCURRENT").as_deref(), Some(TOKEN_1));
}

#[tokio::test]
async fn a_value_put_by_hand_abandons_the_rotation_under_way() {
    let lab = lab_with_secret().await;
    let (there, go) = attach_waiting(&lab);
    ok(rotate(&lab, TOKEN_2, json!({})).await);
    there.acquire().await.unwrap().forget();
    let put = json!({"SecretId": "db", "ClientRequestToken": TOKEN_3, "SecretString": "by hand"});
    ok(send(&lab, "PutSecretValue", put).await);
    go.add_permits(1);
    assert_eq!(lab.rotated(TOKEN_2).await.end, End::Cancelled);
    assert_eq!(
        describe(&lab).await["VersionIdsToStages"],
        json!({TOKEN_1: ["AWSPREVIOUS"], TOKEN_3: ["AWSCURRENT"]})
    );
    assert_eq!(kinds(&lab), [EventKind::RotationStarted, EventKind::RotationAbandoned]);
}

#[tokio::test]
async fn a_rotation_that_was_overtaken_stops_and_the_one_that_overtook_it_succeeds() {
    let lab = lab_with_secret().await;
    let (there, go) = attach_waiting(&lab);
    ok(rotate(&lab, TOKEN_2, json!({})).await);
    there.acquire().await.unwrap().forget();
    lab.secrets().remove_label("db", "AWSPENDING").unwrap();
    ok(rotate(&lab, TOKEN_3, json!({})).await);
    there.acquire().await.unwrap().forget();
    go.add_permits(2);
    assert_eq!(lab.rotated(TOKEN_2).await.end, End::Cancelled);
    assert_eq!(lab.rotated(TOKEN_3).await.end, End::Succeeded);
    assert_eq!(lab.secrets().version_with("db", "AWSCURRENT").as_deref(), Some(TOKEN_3));
}

#[tokio::test]
async fn a_rotation_token_of_another_rotation_is_refused() {
    let lab = lab_with_secret().await;
    let token = lab.secrets().begin_rotation("db").unwrap();
    let put = |rotation: &str| {
        json!({"SecretId": "db", "ClientRequestToken": token, "SecretString": "x", "VersionStages": ["AWSPENDING"],
            "RotationToken": rotation})
    };
    refused(send(&lab, "PutSecretValue", put(TOKEN_3)).await, "AccessDeniedException");
    refused(send(&lab, "PutSecretValue", put("short")).await, "ValidationException");
}

#[tokio::test]
async fn a_test_of_the_configuration_that_fails_keeps_the_settings_and_no_version() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| Err("cannot log in".into()));
    let rules = json!({"ScheduleExpression": "rate(10 days)", "Duration": "3h"});
    let request = json!({"RotationLambdaARN": arn, "RotationRules": rules, "RotateImmediately": false});
    ok(rotate(&lab, TOKEN_2, request).await);
    assert_eq!(lab.rotated(TOKEN_2).await.end, End::GivenUp);
    assert_eq!(lab.secrets().versions("db").unwrap().len(), 1);
    assert_eq!(describe(&lab).await["RotationRules"], rules);
    assert_eq!(kinds(&lab), [EventKind::TestRotationStarted, EventKind::TestRotationFailed]);
}

#[tokio::test]
async fn rules_that_a_call_omits_are_kept_and_rules_that_make_no_sense_are_refused() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| Ok(()));
    let request = json!({"RotationLambdaARN": arn, "RotationRules": {"AutomaticallyAfterDays": 30}});
    ok(rotate(&lab, TOKEN_2, request).await);
    lab.rotated(TOKEN_2).await;
    ok(rotate(&lab, TOKEN_3, json!({})).await);
    lab.rotated(TOKEN_3).await;
    let described = describe(&lab).await;
    assert_eq!(described["RotationRules"], json!({"AutomaticallyAfterDays": 30}));
    assert_eq!(described["RotationLambdaARN"], json!(arn));
    for rules in [
        json!({"ScheduleExpression": "rate(3 hours)"}),
        json!({"ScheduleExpression": "rate(1000 days)"}),
        json!({"ScheduleExpression": "cron(15 8 * * ? *)"}),
        json!({"ScheduleExpression": "cron(0 8 * * ? 2027)"}),
        json!({"ScheduleExpression": "cron(0 8/2 * * ? *)"}),
        json!({"ScheduleExpression": "cron(0 22 * * ? *)", "Duration": "3h"}),
        json!({"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}),
        json!({"ScheduleExpression": "rate(4 days)", "Duration": "3m"}),
    ] {
        let answer =
            rotate(&lab, "44444444-4444-4444-8444-444444444444", json!({"RotationRules": rules})).await;
        refused(answer, "InvalidParameterException");
    }
}

/// Waits until so many rotations have ended, by what the lab publishes.
async fn ended(lab: &Lab, count: usize) {
    let is_end = |kind: &EventKind| matches!(kind, EventKind::RotationSucceeded | EventKind::RotationFailed);
    while kinds(lab).iter().filter(|kind| is_end(kind)).count() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn schedules_rotate_when_the_clock_reaches_their_window() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| Ok(()));
    let rules = json!({"ScheduleExpression": "rate(10 days)"});
    ok(rotate(&lab, TOKEN_2, json!({"RotationLambdaARN": arn, "RotationRules": rules})).await);
    ended(&lab, 1).await;
    let date = async |member: &str| describe(&lab).await[member].as_f64().unwrap();
    let first = date("LastRotatedDate").await;
    // The window is the tenth day from midnight to its last second.
    let day = 86_400.0;
    assert_eq!(date("NextRotationDate").await, (first / day).floor() * day + 11.0 * day - 1.0);

    lab.clock().advance(Duration::from_secs(8 * 86_400));
    assert_eq!(date("LastRotatedDate").await, first);
    lab.clock().advance(Duration::from_secs(2 * 86_400));
    ended(&lab, 2).await;
    let second = date("LastRotatedDate").await;
    assert!(second > first + 9.0 * day, "{first} {second}");
    // What DescribeSecret tells as days is calculated from the schedule.
    assert_eq!(
        describe(&lab).await["RotationRules"],
        json!({"ScheduleExpression": "rate(10 days)", "AutomaticallyAfterDays": 10})
    );
    let Moment(now) = lab.clock().now();
    assert!((now as f64 / 1000.0 - second).abs() < 60.0);
}

#[tokio::test]
async fn a_scheduled_rotation_that_was_given_up_is_tried_again_under_its_token() {
    let lab = lab_with_secret().await;
    let (arn, _) = attach(&lab, |_| Err("down".into()));
    let rules = json!({"AutomaticallyAfterDays": 1});
    ok(rotate(&lab, TOKEN_2, json!({"RotationLambdaARN": arn, "RotationRules": rules})).await);
    ended(&lab, 1).await;
    attach(&lab, |_| Ok(()));
    lab.clock().advance(Duration::from_secs(86_400));
    ended(&lab, 2).await;
    assert_eq!(lab.secrets().version_with("db", "AWSCURRENT").as_deref(), Some(TOKEN_2));
}
