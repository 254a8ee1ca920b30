//! The local Lambda, called through a real client of the runtime API and through misbehaving ones.
//!
//! The functions are this test binary itself, started again with a behaviour to show.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a test may panic")]

use std::env;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use lab::runtime::{Function, FunctionError, InvokeError, RunningFunction};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Value, json};

/// A function that behaves as asked.
fn function(behaviour: &str) -> Function {
    let this = env::current_exe().unwrap();
    let command = [this.as_os_str(), "behave".as_ref(), "--exact".as_ref(), "--nocapture".as_ref()];
    Function::new("misbehave", command).env("BEHAVIOUR", behaviour)
}

/// What runs in the function's process; in the test process it has nothing to do.
#[test]
fn behave() {
    match env::var("BEHAVIOUR").as_deref() {
        Ok("exit at once") => std::process::exit(7),
        Ok("fail in init") => {
            let body = r#"{"errorType":"Runtime.NoConfiguration","errorMessage":"nothing is set"}"#;
            post("/2018-06-01/runtime/init/error", body);
            std::process::exit(1);
        }
        Ok(_) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(lambda_runtime::run(service_fn(answer))).unwrap();
        }
        Err(_) => {}
    }
}

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let (event, context) = event.into_parts();
    match event["do"].as_str().unwrap_or_default() {
        "echo" => Ok(event),
        "context" => Ok(json!({
            "request": context.request_id,
            "arn": context.invoked_function_arn,
            "trace": context.xray_trace_id,
            "left_ms": context.deadline() .duration_since(std::time::SystemTime::now()).unwrap().as_millis() as u64,
            "process": std::process::id(),
            "variables": env::vars().collect::<std::collections::BTreeMap<_, _>>(),
        })),
        "write" => {
            println!("to standard output");
            eprintln!("to standard error");
            Ok(Value::Null)
        }
        "fail" => Err(Diagnostic { error_type: "Refusal".into(), error_message: "not today".into() }),
        "hang" => {
            println!("hanging");
            std::future::pending().await
        }
        "exit" => std::process::exit(9),
        "meet" => {
            // Returns only when a second process does the same at the same time.
            println!("arrived {}", std::process::id());
            let _ = std::fs::read(event["fifo"].as_str().unwrap());
            Ok(json!(std::process::id()))
        }
        "grow" => {
            let memory = vec![1_u8; 64 << 20];
            Ok(json!(memory.iter().map(|&byte| u64::from(byte)).sum::<u64>()))
        }
        other => unreachable!("no such behaviour: {other}"),
    }
}

fn post(path: &str, body: &str) {
    let address = env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let mut stream = TcpStream::connect(&address).unwrap();
    let length = body.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut first = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 202");
}

async fn started(behaviour: &str) -> RunningFunction {
    function(behaviour).start().await.unwrap()
}

async fn process_id(function: &RunningFunction) -> u64 {
    function.invoke(json!({"do": "context"})).await.unwrap()["process"].as_u64().unwrap()
}

fn is_running(id: u64) -> bool {
    std::path::Path::new(&format!("/proc/{id}")).exists()
}

#[tokio::test]
async fn an_invocation_is_answered_and_the_process_stays() {
    let function = started("answer").await;
    let event = json!({"do": "echo", "text": "ä\u{1F600}\"", "number": 1.5});
    assert_eq!(function.invoke(event.clone()).await.unwrap(), event);
    let first = process_id(&function).await;
    assert_eq!(process_id(&function).await, first);
    assert_eq!(function.starts(), 1);
    assert!(function.ready_after().unwrap() > Duration::ZERO);
}

#[tokio::test]
async fn the_context_is_lambdas_and_the_environment_is_clean() {
    let function =
        function("answer").env("OURS", "1").timeout(Duration::from_secs(20)).start().await.unwrap();
    let context = function.invoke(json!({"do": "context"})).await.unwrap();
    assert_eq!(context["arn"], "arn:aws:lambda:us-east-1:000000000000:function:misbehave");
    assert_eq!(context["request"].as_str().unwrap().len(), 36);
    assert!(context["trace"].as_str().unwrap().starts_with("Root=1-"));
    let left = context["left_ms"].as_u64().unwrap();
    assert!((1..=20_000).contains(&left), "{left}");
    let variables = context["variables"].as_object().unwrap();
    assert_eq!(variables["OURS"], "1");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "misbehave");
    assert_eq!(variables["AWS_REGION"], "us-east-1");
    assert!(env::var_os("CARGO_MANIFEST_DIR").is_some(), "Cargo sets this for tests");
    assert!(!variables.contains_key("CARGO_MANIFEST_DIR"), "{variables:?}");
    let again = function.invoke(json!({"do": "context"})).await.unwrap();
    assert_ne!(again["request"], context["request"]);
}

#[tokio::test]
async fn an_error_arrives_as_the_function_reports_it() {
    let function = started("answer").await;
    let InvokeError::Function(error) = function.invoke(json!({"do": "fail"})).await.unwrap_err() else {
        panic!("not an error of the function");
    };
    assert_eq!(error, FunctionError { error_type: "Refusal".into(), error_message: "not today".into() });
    assert_eq!(function.invoke(json!({"do": "echo"})).await.unwrap(), json!({"do": "echo"}));
    assert_eq!(function.starts(), 1);
}

#[tokio::test]
async fn an_init_error_is_the_answer() {
    let function = started("fail in init").await;
    let InvokeError::Function(error) = function.invoke(json!({})).await.unwrap_err() else {
        panic!("not an error of the function");
    };
    let expected = FunctionError {
        error_type: "Runtime.NoConfiguration".into(),
        error_message: "nothing is set".into(),
    };
    assert_eq!(error, expected);
    assert_eq!(function.ready_after(), None);
}

#[tokio::test]
async fn a_process_that_ends_in_init_has_died_and_is_started_again() {
    let function = started("exit at once").await;
    let mut starts = Vec::new();
    for _ in 0..2 {
        let error = function.invoke(json!({})).await.unwrap_err();
        assert!(matches!(&error, InvokeError::Died { status } if status.code() == Some(7)), "{error:?}");
        starts.push(function.starts());
    }
    // As in Lambda, an init that failed before the first invocation is tried once more by it.
    assert_eq!(starts, [2, 3]);
}

#[tokio::test]
async fn a_process_that_ends_in_an_invocation_has_died_and_is_started_again() {
    let function = started("answer").await;
    let first = process_id(&function).await;
    let error = function.invoke(json!({"do": "exit"})).await.unwrap_err();
    assert!(matches!(&error, InvokeError::Died { status } if status.code() == Some(9)), "{error:?}");
    assert_ne!(process_id(&function).await, first);
    assert_eq!(function.starts(), 2);
}

#[tokio::test]
async fn a_process_that_hangs_is_killed() {
    let function = function("answer").timeout(Duration::from_millis(300)).start().await.unwrap();
    let first = process_id(&function).await;
    let error = function.invoke(json!({"do": "hang"})).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut { .. }), "{error:?}");
    assert!(!is_running(first));
    assert_ne!(process_id(&function).await, first);
    assert_eq!(function.starts(), 2);
}

#[tokio::test]
async fn a_bad_command_cannot_be_started() {
    let error = Function::new("none", ["/no/such/program"]).start().await.err().unwrap();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert!(Function::new("empty", [""; 0]).start().await.is_err());
}

#[tokio::test]
async fn killed_while_idle_the_next_invocation_starts_anew() {
    let function = started("answer").await;
    let first = process_id(&function).await;
    function.kill();
    assert!(!is_running(first));
    assert_ne!(process_id(&function).await, first);
    assert_eq!(function.starts(), 2);
}

#[tokio::test]
async fn killed_in_an_invocation_it_has_died() {
    let function = started("answer").await;
    let kill_when_it_hangs = async {
        while !String::from_utf8_lossy(&function.output()).contains("hanging") {
            tokio::task::yield_now().await;
        }
        function.kill();
    };
    let (answer, ()) = tokio::join!(function.invoke(json!({"do": "hang"})), kill_when_it_hangs);
    let InvokeError::Died { status } = answer.unwrap_err() else { panic!("it was killed") };
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
}

#[tokio::test]
async fn two_invocations_at_once_get_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("meeting");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let function = started("answer").await;
    let event = json!({"do": "meet", "fifo": fifo});
    let open_when_both_arrived = async {
        while String::from_utf8_lossy(&function.output()).matches("arrived").count() < 2 {
            tokio::task::yield_now().await;
        }
        drop(std::fs::OpenOptions::new().write(true).open(&fifo).unwrap());
    };
    let (one, two, ()) =
        tokio::join!(function.invoke(event.clone()), function.invoke(event.clone()), open_when_both_arrived);
    assert_ne!(one.unwrap(), two.unwrap());
    assert_eq!(function.starts(), 2);
    process_id(&function).await;
    assert_eq!(function.starts(), 2, "both are used again");
}

#[tokio::test]
async fn output_is_there_when_the_answer_is() {
    let function = started("answer").await;
    function.invoke(json!({"do": "write"})).await.unwrap();
    let output = String::from_utf8(function.output()).unwrap();
    assert!(output.contains("to standard output\n") && output.contains("to standard error\n"), "{output}");
}

#[tokio::test]
async fn the_memory_peak_outlives_the_process() {
    let function = started("answer").await;
    function.invoke(json!({"do": "echo"})).await.unwrap();
    let before = function.memory_peak();
    assert!(before > 0);
    function.invoke(json!({"do": "grow"})).await.unwrap();
    function.kill();
    assert!(function.memory_peak() >= before + (60 << 20), "{before} {}", function.memory_peak());
}

#[tokio::test]
async fn processor_time_grows_with_work() {
    let function = started("answer").await;
    function.invoke(json!({"do": "echo"})).await.unwrap();
    let before = function.processor_time();
    function.invoke(json!({"do": "grow"})).await.unwrap();
    assert!(before > Duration::ZERO && function.processor_time() > before);
    function.kill();
    assert_eq!(function.processor_time(), Duration::ZERO);
}

#[tokio::test]
async fn dropping_the_runtime_leaves_no_process() {
    let function = started("answer").await;
    let id = process_id(&function).await;
    assert!(is_running(id));
    drop(function);
    assert!(!is_running(id));
}

#[test]
fn a_package_without_a_binary_is_an_error() {
    let error = Function::build("lab").unwrap_err();
    assert!(error.to_string().contains("lab"), "{error}");
}
