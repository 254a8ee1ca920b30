//! An impostor: it greets as MySQL does, and then asks for the password in ways that would reveal it.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::leaks;
use lab::world::World;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::app::FIRST;

/// A message: three bytes of length, a number, and the content.
fn message(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short message").to_le_bytes();
    [&length[..3], &[number], body].concat()
}

/// A server's first message (MySQL, "Protocol::HandshakeV10"). It does not offer TLS.
fn greeting(plugin: &str) -> Vec<u8> {
    // Long passwords, protocol 4.1, a secure connection, authentication by plugins.
    let capabilities: u32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
    let [a, b, c, d] = capabilities.to_le_bytes();
    let body = [
        b"\x0a8.4.0\0\x01\0\0\0".as_slice(),
        b"saltsalt\0",
        &[a, b, 45, 2, 0, c, d, 21],
        &[0; 10],
        b"saltsaltsalt\0",
        plugin.as_bytes(),
        b"\0",
    ];
    message(0, &body.concat())
}

/// Greets, asks this question, and records all that it receives.
async fn ask(mut stream: TcpStream, plugin: &str, question: &[u8], heard: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 4096];
    let mut answer = greeting(plugin);
    loop {
        if stream.write_all(&answer).await.is_err() {
            return;
        }
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(count) => heard.lock().expect("nobody panicked").extend_from_slice(&bytes[..count]),
        }
        answer = message(2, question);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_the_password_in_clear_text_does_not_get_it() {
    // Without TLS, PyMySQL, and so AWS's function, answers the first of these.
    for (plugin, question) in [
        ("mysql_native_password", &b"\xfemysql_clear_password\0\0"[..]),
        ("mysql_clear_password", b"\xfemysql_clear_password\0\0"),
        ("mysql_clear_password", b"\0\0\0\x02\0\0\0"),
        // MariaDB's plugin that asks a person questions.
        ("mysql_native_password", b"\xfedialog\0\x04Password: "),
        // The method of MySQL 4.0, which is nearly clear text.
        ("mysql_native_password", b"\xfe"),
    ] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ears = Arc::clone(&heard);
        let impostor = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                ask(stream, plugin, question, &ears).await;
            }
        });
        for ssl in [json!(null), json!(false)] {
            let secret = json!({
                "engine": "mysql", "host": "127.0.0.1", "port": port, "username": "app", "password": FIRST, "ssl": ssl,
            });
            let world = World::new("rotate-mysql", &[("RUST_LOG", "trace")], &secret).await.unwrap();
            let error = world.rotate().await.unwrap_err();
            let kinds = ["setSecret: ServerRefused:", "setSecret: Unreachable:"];
            assert!(kinds.iter().any(|kind| error.starts_with(kind)), "{plugin} {ssl}: {error}");
            let heard = heard.lock().unwrap().clone();
            assert_eq!(heard.is_empty(), ssl.is_null(), "{plugin} {ssl}: {heard:?}");
            leaks::absent(&[FIRST], &[("what was sent", &heard), ("the output", world.output().as_bytes())]);
        }
        impostor.abort();
    }
}

/// Asks for a parsec login with random bytes that end with `last`. Returns the length of the client's signed answer.
async fn signed(mut stream: TcpStream, last: u8) -> io::Result<usize> {
    let nonce = [&[7; 31][..], &[last]].concat();
    let salt = [b"P\0".as_slice(), &[7; 18]].concat();
    let questions = [
        greeting("mysql_native_password"),
        message(2, &[b"\xfeparsec\0".as_slice(), &nonce].concat()),
        message(4, &salt),
    ];
    let mut bytes = [0; 4096];
    let mut length = 0;
    for question in questions {
        stream.write_all(&question).await?;
        length = stream.read(&mut bytes).await?;
    }
    Ok(length)
}

/// How much each of two logins answered to an impostor that asks first with random bytes that end with a zero, and then with others.
async fn answers<F>(ask: fn(TcpStream, u8) -> F) -> io::Result<Vec<usize>>
where
    F: Future<Output = io::Result<usize>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let secret = json!({
        "engine": "mariadb", "host": "127.0.0.1", "port": listener.local_addr()?.port(),
        "username": "app", "password": FIRST, "ssl": false,
    });
    let world = World::new("rotate-mysql", &[], &secret).await?;
    let impostor = tokio::spawn(async move {
        let mut lengths = Vec::new();
        for last in [0, 7] {
            let (stream, _) = listener.accept().await?;
            lengths.push(ask(stream, last).await?);
        }
        io::Result::Ok(lengths)
    });
    world.rotate().await.expect_err("the impostor lets nobody in");
    let lengths = timeout(Duration::from_secs(10), impostor).await.expect("a second connection is made");
    lengths?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_challenge_that_the_driver_rejects_is_requested_again() {
    // The first connection gets no answer. The second gets a header, random bytes of the client and a signature.
    assert_eq!(answers(signed).await.unwrap(), [0, 4 + 32 + 64]);
}

/// Asks for an ed25519 login with random bytes that end with `last`, and refuses the answer, whose length it returns.
async fn refused(mut stream: TcpStream, last: u8) -> io::Result<usize> {
    let nonce = [&[7; 31][..], &[last]].concat();
    let switch = message(2, &[b"\xfeclient_ed25519\0".as_slice(), &nonce].concat());
    let mut bytes = [0; 4096];
    let mut length = 0;
    for question in [greeting("mysql_native_password"), switch] {
        stream.write_all(&question).await?;
        length = stream.read(&mut bytes).await?;
    }
    stream.write_all(&message(4, b"\xff\x15\x04#28000Access denied")).await?;
    Ok(length)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_mariadb_refuses_is_sent_once_more_because_the_driver_may_have_signed_too_little() {
    // Each time a header and a signature.
    assert_eq!(answers(refused).await.unwrap(), [4 + 64, 4 + 64]);
}
