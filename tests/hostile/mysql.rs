//! Fake servers of MySQL and MariaDB.

use rotation_tests::fake_mysql::{column, greeting, ok, packet, row, switch};
use rotation_tests::fake_server::Line::{
    self, CountForever, Encrypt, HangUp, Hear, HearExactly, Say, SayForever,
};

use super::meets;

const VERSION: &str = "9.7.0";
const NATIVE: &str = "mysql_native_password";
const SHA2: &str = "caching_sha2_password";

/// The length of the client's request for TLS: a header, and Protocol::SSLRequest.
const TLS_REQUEST: usize = 36;

/// Plays a script after the client's answer to the greeting: first without TLS, then over TLS with a trusted certificate. The
/// script gets the number of its first packet.
async fn fake(case: &str, plugin: &str, script: impl Fn(u8) -> Vec<Line>, parts: &[&str]) {
    let plain = [vec![Say(greeting(VERSION, plugin, false)), Hear], script(2)].concat();
    meets("mysql", case, false, plain, parts).await;
    meets("mysql", case, true, [encrypted(VERSION, plugin), vec![Hear], script(3)].concat(), parts).await;
}

fn encrypted(version: &str, plugin: &str) -> Vec<Line> {
    vec![Say(greeting(version, plugin, true)), HearExactly(TLS_REQUEST), Encrypt]
}

/// Accepts any login, receives the first query, and then sends this.
fn accepted(number: u8, then: Vec<Line>) -> Vec<Line> {
    [vec![Say(ok(number)), Hear], then].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_declines_tls_hears_no_password() {
    let tls = async |case: &str, script: Vec<Line>, parts: &[&str]| {
        meets("mysql", case, true, script, parts).await;
    };
    // The client sends nothing before the greeting. So each script waits until the client sends something or hangs up.
    let greets = |offers| Say(greeting(VERSION, NATIVE, offers));
    let failed = ["Unreachable", "localhost"];
    tls("hangs up", vec![greets(true), Hear, HangUp], &failed).await;
    tls("no TLS after all", vec![greets(true), Hear, Say(ok(2))], &failed).await;
    tls("an error instead", vec![greets(true), Hear, Say(packet(2, b"\xff\x15\x04#28000no"))], &failed).await;
    tls("speaks too early", vec![Say([greeting(VERSION, NATIVE, true), ok(1), ok(2)].concat())], &failed)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_less_hears_no_password() {
    let clear: &[&str] = &["ServerRefused", "clear text"];
    let unspoken: &[&str] = &["ServerRefused", "not spoken here"];
    for (plugin, parts) in [
        ("mysql_clear_password", clear),
        ("dialog", unspoken),
        // MySQL also gives this answer to a user that does not exist.
        ("sha256_password", &["LockedOut", "sha256_password", "no such user"]),
        ("mysql_old_password", unspoken),
        ("authentication_ldap_sasl_client", unspoken),
    ] {
        for first in [NATIVE, SHA2] {
            let case = format!("{first} becomes {plugin}");
            fake(&case, first, |number| vec![Say(switch(number, plugin, b"salt5678901234567890\0"))], parts)
                .await;
        }
    }
    fake("the way of MySQL 4.0", NATIVE, |number| vec![Say(packet(number, b"\xfe"))], unspoken).await;
    let twice = |number| {
        let salt = b"salt5678901234567890\0";
        vec![Say(switch(number, NATIVE, salt)), Hear, Say(switch(number + 2, "mysql_clear_password", salt))]
    };
    fake("switches twice", SHA2, twice, &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_makes_no_sense_is_no_bug_of_ours() {
    // The driver assumes that these are well formed, and panics.
    let parts = ["Unreachable", "does not speak MySQL's protocol"];
    let plain = |then: Vec<Line>| {
        let full = packet(2, b"\x01\x04");
        [vec![Say(greeting(VERSION, SHA2, false)), Hear, Say(full), Hear], then].concat()
    };
    meets("mysql", "a key that is none", false, plain(vec![Say(packet(4, b"\x01no key"))]), &parts).await;
    meets("mysql", "an empty packet for a key", false, plain(vec![Say(packet(4, b""))]), &parts).await;
    let no_salt = vec![
        Say(greeting(VERSION, NATIVE, false)),
        Hear,
        Say(switch(2, SHA2, b"")),
        Hear,
        Say(packet(4, b"\x01\x04")),
        Hear,
        Say(packet(6, b"\x01no key")),
    ];
    meets("mysql", "no salt", false, no_salt, &parts).await;
    fake("no login at all", NATIVE, |number| vec![Say(packet(number, b"\x07?"))], &parts).await;
    fake("out of order", NATIVE, |number| vec![Say(ok(number + 7))], &["Unreachable", "localhost"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_any_answer_hears_no_password_in_what_follows() {
    for (version, kind) in [
        ("5.5.1", "ServerRefused"),
        ("99999999999999999999.1.1", "setSecret"),
        ("", "setSecret"),
        ("10.1.1-MariaDB", "ServerRefused"),
    ] {
        let who = row(&["app@%", "", version, "MySQL Community Server"]);
        let then = |number| accepted(number, vec![Say(who.clone()), Hear, HangUp]);
        fake(&format!("says it is {version:?}"), NATIVE, then, &[kind]).await;
    }
    for who in ["root@localhost", "", "@"] {
        let answer = row(&[who, "", VERSION, "MySQL Community Server"]);
        let then = |number| accepted(number, vec![Say(answer.clone())]);
        fake(&format!("says we are {who:?}"), NATIVE, then, &["NotOurs", "became a session of"]).await;
    }
    // MySQL's protocol lets a server ask for a file of the client.
    let file = |number| accepted(number, vec![Say(packet(1, b"\xfb/proc/self/environ"))]);
    fake("asks for a file", NATIVE, file, &["Unreachable"]).await;
    for version in ["0", "x", "999999999999999999999.0.0-MariaDB"] {
        let script = [encrypted(version, NATIVE), vec![Hear, HangUp]].concat();
        meets("mysql", &format!("greets as {version:?}"), true, script, &["Unreachable"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_huge_or_never_end_take_no_memory() {
    let huge = || SayForever([&b"\xff\xff\xff\0"[..], &[b'x'; 64 << 10]].concat());
    let failed = ["Unreachable", "localhost"];
    let script = [encrypted(VERSION, NATIVE), vec![Hear, huge()]].concat();
    meets("mysql", "huge in the login", true, script, &failed).await;
    fake("huge instead of a login", NATIVE, |_| vec![huge()], &failed).await;
    fake("huge instead of an answer", NATIVE, |number| accepted(number, vec![huge()]), &failed).await;
    let rows = |number| {
        let big = [&b"\xfd\x00\x00\x10"[..], &[b'x'; 1 << 20]].concat();
        let begin = [packet(1, b"\x01"), column(2), packet(3, &[0xfe, 0, 0, 2, 0])].concat();
        accepted(number, vec![Say(begin), CountForever(packet(4, &big))])
    };
    fake("rows without end", NATIVE, rows, &["Unreachable", "more than"]).await;
    let progress =
        |number| accepted(number, vec![CountForever(packet(1, b"\xff\xff\xff\x01\x01\x01\0\0\0\x01x"))]);
    fake("progress without end", NATIVE, progress, &["Unreachable"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_named_with_its_stage() {
    let login = "the login of";
    let mut silent = tokio::task::JoinSet::new();
    for (case, script) in [
        ("after the greeting", vec![Say(greeting(VERSION, NATIVE, true))]),
        ("after the TLS request", vec![Say(greeting(VERSION, NATIVE, true)), Hear]),
        ("within TLS", [encrypted(VERSION, NATIVE), vec![Hear]].concat()),
    ] {
        silent.spawn(async move { meets("mysql", case, true, script, &["Unreachable", login]).await });
    }
    silent.spawn(fake("after the login", NATIVE, |_| vec![], &["Unreachable", "the login of"]));
    silent.spawn(fake(
        "half a packet",
        NATIVE,
        |_| vec![Say(b"\x07\0".to_vec())],
        &["Unreachable", "the login of"],
    ));
    silent.spawn(fake(
        "after a switch",
        NATIVE,
        |number| vec![Say(switch(number, SHA2, b"salt5678901234567890\0")), Hear],
        &["Unreachable", "the login of"],
    ));
    silent.spawn(fake(
        "after the first question",
        NATIVE,
        |number| accepted(number, vec![]),
        &["Unreachable", "to say who is logged in"],
    ));
    silent.join_all().await;
}
