//! Fake servers of PostgreSQL.

use rotation_tests::fake_postgres::{authentication, message};
use rotation_tests::fake_server::Line::{self, Encrypt, HangUp, Hear, HearExactly, Say, SayForever};

use super::meets;
use Where::{Both as BOTH, Plain as PLAIN, Tls as TLS};

/// On which kind of connection a script is played.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// Before TLS.
    Tls,
    /// Without TLS, as the secret says.
    Plain,
    /// Without TLS, and then over TLS with a trusted certificate.
    Both,
}

async fn fake(case: &str, place: Where, script: Vec<Line>, parts: &[&str]) {
    if place != TLS {
        meets("postgres", case, false, script.clone(), parts).await;
    }
    match place {
        TLS => meets("postgres", case, true, script, parts).await,
        BOTH => meets("postgres", case, true, encrypted(script), parts).await,
        PLAIN => {}
    }
}

fn encrypted(script: Vec<Line>) -> Vec<Line> {
    [vec![HearExactly(8), Say(b"S".to_vec()), Encrypt], script].concat()
}

fn ready() -> Vec<u8> {
    [authentication(0, &[]), message(b'Z', b"I")].concat()
}

/// Asks for an MD5 login, accepts it, and then sends these.
fn after_md5(then: Vec<Line>) -> Vec<Line> {
    [vec![Hear, Say(authentication(5, b"salt")), Hear, Say(ready())], then].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_declines_tls_hears_no_password() {
    fake("refuses", TLS, vec![Hear, Say(b"N".to_vec())], &["Unreachable", "does not offer TLS"]).await;
    fake("hangs up", TLS, vec![Hear, HangUp], &["Unreachable", "broke the connection off"]).await;
    fake("an error instead", TLS, vec![Hear, Say(b"E".to_vec())], &["Unreachable", "does not speak"]).await;
    let garbage = vec![Hear, Say(b"S".to_vec()), Hear, Say(b"no TLS at all".to_vec())];
    fake("no TLS after all", TLS, garbage, &["Unreachable", "the TLS handshake with localhost"]).await;
    // The client would read bytes after the answer as if they had been encrypted (CVE-2021-23222).
    let early = vec![Hear, Say([b"S".to_vec(), ready()].concat())];
    fake("speaks too early", TLS, early, &["Unreachable", "the TLS handshake with localhost"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_less_hears_no_password() {
    let clear = vec![Hear, Say(authentication(3, &[]))];
    // With a trusted certificate, clear text is a legitimate way to log in (`password` in pg_hba.conf).
    fake("clear text", PLAIN, clear, &["Unreachable", "clear text"]).await;
    fake("nothing", BOTH, vec![Hear, Say(ready())], &["NotOurs", "without asking for the password"]).await;
    let unknown = vec![Hear, Say(authentication(10, b"SCRAM-MD2\0\0"))];
    fake("an unknown mechanism", BOTH, unknown, &["Unreachable", "the login at localhost"]).await;
    for code in [2, 6, 7, 9, 77] {
        let what = format!("request {code}");
        fake(&what, BOTH, vec![Hear, Say(authentication(code, &[]))], &["Unreachable"]).await;
    }
    let nonce = b"r=notours,s=QSXCR+Q6sek8bf92,i=4096";
    let nonce =
        vec![Hear, Say(authentication(10, b"SCRAM-SHA-256\0\0")), Hear, Say(authentication(11, nonce))];
    fake("another's nonce", BOTH, nonce, &["Unreachable"]).await;
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
        fake(&format!("stores {claim:?}"), BOTH, lies, &["setSecret"]).await;
    }
    let version = message(b'S', b"server_version\x0099999999999999999999.x\0");
    let lies =
        vec![Hear, Say(authentication(5, b"salt")), Hear, Say([version, ready()].concat()), Hear, HangUp];
    fake("no version", BOTH, lies, &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_huge_or_never_end_take_no_memory() {
    let huge = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
    let zeroes = || SayForever(vec![0; 64 << 10]);
    for kind in *b"RESN" {
        let script = vec![Hear, Say(huge(kind, 0x7fff_ffff)), zeroes()];
        fake("huge before the login", BOTH, script, &["Unreachable", "announced a message"]).await;
    }
    let script = after_md5(vec![Hear, Say(huge(b'D', 0x7fff_ffff)), zeroes()]);
    fake("huge afterwards", BOTH, script, &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_messages_without_end_take_no_memory() {
    let notice = message(b'N', &[&b"SNOTICE\0C00000\0M"[..], &[b'x'; 8_000], b"\0\0"].concat());
    fake("notices before the login", BOTH, vec![Hear, SayForever(notice.clone())], &["Unreachable"]).await;
    let script = vec![
        Hear,
        Say(authentication(5, b"salt")),
        Hear,
        Say(authentication(0, &[])),
        SayForever(notice.clone()),
    ];
    fake("notices before it is ready", BOTH, script, &["Unreachable"]).await;
    fake("notices instead of an answer", BOTH, after_md5(vec![Hear, SayForever(notice)]), &["Unreachable"])
        .await;
    let row = message(b'D', &[&b"\0\x01\0\0\x20\0"[..], &[b'x'; 0x2000]].concat());
    fake("rows without end", BOTH, after_md5(vec![Hear, SayForever(row)]), &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_named_with_its_stage() {
    let cases = [
        (TLS, vec![Hear], "an answer to the TLS request from localhost"),
        (TLS, vec![Hear, Say(b"S".to_vec())], "the TLS handshake with localhost"),
        (BOTH, vec![Hear], "to answer the login of"),
        (BOTH, vec![Hear, Say(authentication(5, b"salt"))], "to answer the login of"),
        (BOTH, vec![Hear, Say(authentication(10, b"SCRAM-SHA-256\0\0"))], "to answer the login of"),
        (BOTH, vec![Hear, Say(b"R\0\0".to_vec())], "to answer the login of"),
        (BOTH, after_md5(vec![]), "localhost"),
    ];
    let silent = cases.map(|(ssl, script, part)| {
        tokio::spawn(async move {
            fake(&format!("{script:?}"), ssl, script, &["Unreachable", part]).await;
        })
    });
    for case in silent {
        case.await.unwrap();
    }
}
