//! Servers that pretend to be PostgreSQL learn no password, take no memory, and are told apart in the error.

#![expect(clippy::unwrap_used, reason = "all of this is one test: a panic is its failure")]

use std::time::{Duration, Instant};

use lab::leaks;
use lab::rotation::Step;
use lab::world::World;
use rotation_tests::fake_postgres::{FakePostgres, Line, authentication, message};
use serde_json::json;

use Line::{HangUp, Hear, Say, SayForever};

const PASSWORD: &str = "F1rst-pa55-that-no-fake-may-see";

/// The longest that an answer of ours may take: the login's limit or the statement's, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(25);

/// What one process may hold while a fake talks; it is a debug build.
const MEMORY: u64 = 160 << 20;

/// Runs setSecret against the fake, which must fail with an error that has these parts.
async fn meets(case: &str, ssl: bool, script: Vec<Line>, parts: &[&str]) {
    let fake = FakePostgres::start(script).await.unwrap();
    let secret = json!({
        "engine": "postgres", "host": "localhost", "port": fake.port(), "username": "app", "password": PASSWORD,
        "dbname": "postgres", "ssl": ssl,
    });
    let world = World::new("rotate-postgres", &[("RUST_LOG", "trace")], &secret).await.unwrap();
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    let started = Instant::now();
    let error = world.step(&token, Step::SetSecret).await.expect_err(case).to_string();
    assert!(started.elapsed() < IN_TIME, "{case}: {error} after {:?}", started.elapsed());
    for part in parts {
        assert!(error.contains(part), "{case}: no {part:?} in: {error}");
    }
    let memory = world.function.memory_peak();
    assert!(memory < MEMORY, "{case}: {} MB", memory >> 20);
    let values = world.values();
    let passwords: Vec<&str> = values.iter().map(|value| value["password"].as_str().unwrap()).collect();
    assert!(passwords.len() == 2 && passwords.contains(&PASSWORD));
    let (heard, output) = (fake.heard(), world.output());
    assert!(!heard.is_empty(), "{case}: nobody came");
    leaks::absent(
        &passwords,
        &[
            ("what the fake heard", &heard),
            ("the output", output.as_bytes()),
            ("the error", error.as_bytes()),
        ],
    );
    assert_eq!(world.current()["password"], PASSWORD, "{case}");
}

fn ready() -> Vec<u8> {
    [authentication(0, &[]), message(b'Z', b"I")].concat()
}

/// A login that asks for MD5 and takes whatever it is given, and then says these.
fn after_md5(then: Vec<Line>) -> Vec<Line> {
    [vec![Hear, Say(authentication(5, b"salt")), Hear, Say(ready())], then].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_talks_its_way_out_of_tls_hears_no_password() {
    meets("refuses", true, vec![Hear, Say(b"N".to_vec())], &["Unreachable", "does not offer TLS"]).await;
    meets("hangs up", true, vec![Hear, HangUp], &["Unreachable", "broke the connection off"]).await;
    meets("an error instead", true, vec![Hear, Say(b"E".to_vec())], &["Unreachable", "does not speak"]).await;
    let garbage = vec![Hear, Say(b"S".to_vec()), Hear, Say(b"no TLS at all".to_vec())];
    meets("no TLS after all", true, garbage, &["Unreachable", "the TLS handshake with localhost"]).await;
    // Bytes behind the answer would be read as if they had come encrypted (CVE-2021-23222).
    let early = vec![Hear, Say([b"S".to_vec(), ready()].concat())];
    meets("speaks too early", true, early, &["Unreachable", "the TLS handshake with localhost"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_less_hears_no_password() {
    let clear = vec![Hear, Say(authentication(3, &[]))];
    meets("clear text", false, clear, &["Unreachable", "clear text"]).await;
    meets("nothing", false, vec![Hear, Say(ready())], &["NotOurs", "without asking for the password"]).await;
    let unknown = vec![Hear, Say(authentication(10, b"SCRAM-MD2\0\0"))];
    meets("an unknown mechanism", false, unknown, &["Unreachable", "the login at localhost"]).await;
    for code in [2, 6, 7, 9, 77] {
        let what = format!("request {code}");
        meets(&what, false, vec![Hear, Say(authentication(code, &[]))], &["Unreachable"]).await;
    }
    let nonce = b"r=notours,s=QSXCR+Q6sek8bf92,i=4096";
    let nonce =
        vec![Hear, Say(authentication(10, b"SCRAM-SHA-256\0\0")), Hear, Say(authentication(11, nonce))];
    meets("another's nonce", false, nonce, &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_any_answer_hears_no_password_in_what_follows() {
    let rows = |text: &str| {
        let column = [&b"\0\x01x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"[..]].concat();
        let value = [&b"\0\x01"[..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
        [message(b'T', &column), message(b'D', &value), message(b'C', b"SHOW\0"), message(b'Z', b"T")]
            .concat()
    };
    for claim in ["plain", "off", "", "md5", "scram-sha-256", "99999999999999999999"] {
        let lies = after_md5(vec![Hear, Say(rows(claim)), Hear, HangUp]);
        meets(&format!("stores {claim:?}"), false, lies, &["setSecret"]).await;
    }
    let version = message(b'S', b"server_version\x0099999999999999999999.x\0");
    let lies =
        vec![Hear, Say(authentication(5, b"salt")), Hear, Say([version, ready()].concat()), Hear, HangUp];
    meets("no version", false, lies, &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_huge_or_never_end_take_no_memory() {
    let huge = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
    let zeroes = || SayForever(vec![0; 64 << 10]);
    for kind in *b"RESN" {
        let script = vec![Hear, Say(huge(kind, 0x7fff_ffff)), zeroes()];
        meets("huge before the login", false, script, &["Unreachable", "announced a message"]).await;
    }
    let script = after_md5(vec![Hear, Say(huge(b'D', 0x7fff_ffff)), zeroes()]);
    meets("huge afterwards", false, script, &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_messages_without_end_take_no_memory() {
    let notice = message(b'N', &[&b"SNOTICE\0C00000\0M"[..], &[b'x'; 8_000], b"\0\0"].concat());
    meets("notices before the login", false, vec![Hear, SayForever(notice.clone())], &["Unreachable"]).await;
    let script = vec![
        Hear,
        Say(authentication(5, b"salt")),
        Hear,
        Say(authentication(0, &[])),
        SayForever(notice.clone()),
    ];
    meets("notices before it is ready", false, script, &["Unreachable"]).await;
    meets("notices instead of an answer", false, after_md5(vec![Hear, SayForever(notice)]), &["Unreachable"])
        .await;
    let row = message(b'D', &[&b"\0\x01\0\0\x20\0"[..], &[b'x'; 0x2000]].concat());
    meets("rows without end", false, after_md5(vec![Hear, SayForever(row)]), &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_named_with_its_stage() {
    let cases = [
        (true, vec![Hear], "an answer to the TLS request from localhost"),
        (true, vec![Hear, Say(b"S".to_vec())], "the TLS handshake with localhost"),
        (false, vec![Hear], "to answer the login of"),
        (false, vec![Hear, Say(authentication(5, b"salt"))], "to answer the login of"),
        (false, vec![Hear, Say(authentication(10, b"SCRAM-SHA-256\0\0"))], "to answer the login of"),
        (false, vec![Hear, Say(b"R\0\0".to_vec())], "to answer the login of"),
        (false, after_md5(vec![]), "localhost"),
    ];
    let silent = cases.map(|(ssl, script, part)| {
        tokio::spawn(async move {
            meets(&format!("{script:?}"), ssl, script, &["Unreachable", part]).await;
        })
    });
    for case in silent {
        case.await.unwrap();
    }
}
