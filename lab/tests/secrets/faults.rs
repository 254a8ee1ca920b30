//! Faults and hooks: what a test can make one call suffer, and what the log says of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::Lab;
use lab::secrets::{At, Fault, Hook, Outcome, Verdict, What};
use serde_json::json;
use tokio::sync::Barrier;

use crate::client::{TOKEN_2, ok, send};
use crate::rules::lab_with_secret;

const PUT: &str = "PutSecretValue";

async fn put(lab: &Lab) -> Option<(u16, serde_json::Value)> {
    let request = json!({"SecretId": "db", "ClientRequestToken": TOKEN_2, "SecretString": "second"});
    send(lab, PUT, request).await
}

fn took_effect(lab: &Lab) -> bool {
    lab.secrets().value_of("db", TOKEN_2).is_some()
}

#[tokio::test]
async fn each_fault_has_its_effect_and_its_answer() {
    let fail = |kind: &str| json!({"__type": kind, "Message": "A fault of the lab."});
    let internal = || "InternalServiceError".to_owned();
    let cases = [
        (What::FailBefore(internal(), 500), false, Some((500, fail("InternalServiceError")))),
        (What::FailAfter(internal(), 500), true, Some((500, fail("InternalServiceError")))),
        (What::DropBefore, false, None),
        (What::DropAfter, true, None),
        (What::Throttle, false, Some((400, fail("ThrottlingException")))),
    ];
    for (what, effect, answer) in cases {
        let lab = lab_with_secret().await;
        lab.faults().set(vec![Fault::new(At::operation(PUT, 1), what)]);
        assert_eq!(put(&lab).await, answer);
        assert_eq!(took_effect(&lab), effect);
        assert_eq!(lab.faults().unused(), []);
        // The next call of the same operation is not struck.
        ok(put(&lab).await);
    }
}

#[tokio::test]
async fn a_fault_applies_to_the_call_with_its_number_only() {
    let lab = lab_with_secret().await;
    lab.faults().set(vec![Fault::new(At::Call(2), What::Throttle), Fault::new(At::Call(9), What::Throttle)]);
    let statuses = [send_describe(&lab).await, send_describe(&lab).await, send_describe(&lab).await];
    assert_eq!(statuses, [200, 400, 200]);
    assert_eq!(lab.faults().unused(), [At::Call(9)]);
}

async fn send_describe(lab: &Lab) -> u16 {
    send(lab, "DescribeSecret", json!({"SecretId": "db"})).await.unwrap().0
}

#[tokio::test]
async fn a_call_held_before_its_effect_and_cut_has_no_effect() {
    let lab = lab_with_secret().await;
    let (hook, mut held) = Hook::hold();
    lab.faults().set(vec![Fault::new(At::operation(PUT, 1), What::Before(hook))]);
    let (answer, ()) = tokio::join!(put(&lab), async {
        assert_eq!(held.reached().await.unwrap().operation, PUT);
        assert!(!took_effect(&lab));
        held.cut();
    });
    assert_eq!(answer, None);
    assert!(!took_effect(&lab));
}

#[tokio::test]
async fn a_call_held_after_its_effect_is_answered_when_released() {
    let lab = lab_with_secret().await;
    let (hook, mut held) = Hook::hold();
    lab.faults().set(vec![Fault::new(At::operation(PUT, 1), What::After(hook))]);
    let (answer, ()) = tokio::join!(put(&lab), async {
        assert_eq!(held.reached().await.unwrap().outcome, Outcome::Done);
        assert!(took_effect(&lab));
        held.release();
    });
    ok(answer);
}

#[tokio::test]
async fn a_caller_that_dies_while_its_call_is_held_is_in_the_log_as_unanswered() {
    let lab = lab_with_secret().await;
    lab.clear_calls();
    let (hook, mut held) = Hook::hold();
    lab.faults().set(vec![Fault::new(At::Call(1), What::Before(hook))]);
    tokio::select! {
        _ = put(&lab) => unreachable!("the call is held"),
        _ = held.reached() => {}
    }
    while lab.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    held.release();
    assert_eq!(lab.calls()[0].outcome, Outcome::Unanswered);
    assert!(!took_effect(&lab));
}

#[tokio::test]
async fn the_hook_on_calls_sees_the_effect_before_the_caller_does() {
    let lab = lab_with_secret().await;
    let (seen, answered) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (secrets, calls, before) = (lab.secrets(), Arc::clone(&seen), Arc::clone(&answered));
    lab.on_call(move |call| {
        assert_eq!(before.load(Ordering::SeqCst), 0);
        calls.lock().unwrap().push((call.operation, secrets.value("db", "AWSCURRENT")));
        async {}
    });
    ok(put(&lab).await);
    answered.store(1, Ordering::SeqCst);
    assert_eq!(*seen.lock().unwrap(), [(PUT.to_owned(), Some("second".to_owned()))]);
}

#[tokio::test]
async fn depth_counts_calls_one_after_another_and_overlapping_calls_once() {
    let lab = lab_with_secret().await;
    lab.clear_calls();
    // Three calls that wait for each other overlap for certain.
    let together = Arc::new(Barrier::new(3));
    let hook = Hook::new(move |_| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            Verdict::GoOn
        }
    });
    let wait = |number| Fault::new(At::Call(number), What::Before(hook.clone()));
    lab.faults().set(vec![wait(1), wait(2), wait(3)]);
    tokio::join!(send_describe(&lab), send_describe(&lab), send_describe(&lab));
    send_describe(&lab).await;
    assert_eq!(lab.calls().iter().map(|call| call.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(lab.depth(), 2);
}

#[tokio::test]
async fn every_call_takes_as_long_as_the_latency_says() {
    let lab = lab_with_secret().await;
    lab.clear_calls();
    lab.set_latency(Duration::from_millis(20));
    send_describe(&lab).await;
    assert!(lab.calls()[0].duration >= Duration::from_millis(20));
}

#[tokio::test]
async fn reads_lag_behind_writes_when_asked_to() {
    let lab = lab_with_secret().await;
    let hour = Duration::from_secs(3600);
    lab.set_lag(hour, Duration::ZERO);
    ok(put(&lab).await);
    let read = async || send(&lab, "GetSecretValue", json!({"SecretId": "db"})).await;
    assert_eq!(ok(read().await)["SecretString"], "first");
    let described = ok(send(&lab, "DescribeSecret", json!({"SecretId": "db"})).await);
    assert_eq!(described["VersionIdsToStages"][TOKEN_2], json!(["AWSCURRENT"]));
    lab.set_lag(Duration::ZERO, Duration::ZERO);
    assert_eq!(ok(read().await)["SecretString"], "second");
}
