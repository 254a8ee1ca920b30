//! Clients that can only do the fast authentication of `caching_sha2_password`: without TLS, and without the server's public key.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};
use lab::rotation::Step;
use lab::servers::Release;
use lab::world::World;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::app::App;

const PLUGIN: &str = "caching_sha2_password";

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

async fn send(stream: &mut TcpStream, number: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).expect("a short message").to_le_bytes();
    stream.write_all(&[&length[..3], &[number], body].concat()).await
}

/// What shows the password to a server that has it in its cache (MySQL, "Caching SHA-2 Pluggable Authentication").
fn scramble(password: &str, nonce: &[u8]) -> Vec<u8> {
    let once = digest(&SHA256, password.as_bytes());
    let twice = digest(&SHA256, once.as_ref());
    let shown = digest(&SHA256, &[twice.as_ref(), nonce].concat());
    once.as_ref().iter().zip(shown.as_ref()).map(|(a, b)| a ^ b).collect()
}

/// The server's random bytes, from its first message (MySQL, "Protocol::HandshakeV10").
fn nonce(greeting: &[u8]) -> Vec<u8> {
    let version = greeting.iter().position(|byte| *byte == 0).expect("the version ends");
    let first = version + 1 + 4;
    let second = first + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10;
    [&greeting[first..first + 8], &greeting[second..second + 12]].concat()
}

/// Whether such a client gets in with this value. It gives up where the server asks for more than the fast authentication.
async fn gets_in(app: &App, value: &Value) -> bool {
    let text = |key: &str| value[key].as_str().expect("the value has it");
    let mut stream = TcpStream::connect((app.server.host(), app.server.port())).await.expect("a connection");
    let nonce = nonce(&read(&mut stream).await.expect("a greeting"));
    // Long passwords, protocol 4.1, a secure connection, authentication by plugins.
    let capabilities: u32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
    let shown = scramble(text("password"), &nonce);
    let answer = [
        &capabilities.to_le_bytes()[..],
        &(1_u32 << 24).to_le_bytes(),
        &[45],
        &[0; 23],
        text("username").as_bytes(),
        &[0, 32],
        &shown,
        PLUGIN.as_bytes(),
        &[0],
    ];
    send(&mut stream, 1, &answer.concat()).await.expect("an answer");
    // The server says whether it knows the account (1, 3), and then that the client is in (0).
    let known = read(&mut stream).await.expect("a verdict");
    known == [1, 3] && read(&mut stream).await.expect("a greeting")[0] == 0
}

/// Runs each step of three rotations. After each step the client gets in with AWSCURRENT.
async fn every_step_keeps_them_in(app: &App, world: &World, when: &str) {
    assert!(app.accepts(&world.current()).await, "{when}: a client with TLS fills the cache");
    for round in 1..=3 {
        let token = world.begin().expect("a rotation begins");
        for step in Step::ALL {
            world.step(&token, step).await.unwrap_or_else(|error| panic!("{when} {round}: {error}"));
            assert!(gets_in(app, &world.current()).await, "{when}, round {round}, after {}", step.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_can_only_do_fast_authentication_gets_in_after_every_step() {
    for discard in [false, true] {
        let app = App::new(Release::MYSQL_9).await;
        let world = app.world_as("dual-password", |secret| secret["discard_old"] = json!(discard)).await;
        assert!(!gets_in(&app, &world.current()).await, "nobody has filled the cache");
        every_step_keeps_them_in(&app, &world, &format!("dual-password, discard_old {discard}")).await;
    }
    for strategy in ["admin", "alternating-users"] {
        let app = App::new(Release::MYSQL_9).await;
        let world = app.world_as(strategy, |_| ()).await;
        assert!(app.accepts(&world.current()).await);
        for round in 1..=3 {
            world.rotate().await.unwrap_or_else(|error| panic!("{strategy} {round}: {error}"));
            assert!(gets_in(&app, &world.current()).await, "{strategy}, round {round}");
        }
    }
}
