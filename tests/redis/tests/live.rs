//! The example of docs/contributing.md rotates a real Redis.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where, and stops")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use lab::Options;
use lab::certs::{Authority, Kind};
use lab::runtime::Function;
use lab::world::World;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const FIRST: &str = "f1rst-Kq8vZt2m";

/// Redis with TLS and one user, and a secret for it. Ends with its value.
struct Scene {
    world: World,
    port: u16,
    folder: TempDir,
    _server: Child,
}

impl Scene {
    /// `user` is what the server is told of the user, beside its name.
    async fn with(user: &str) -> Scene {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new();
        authority.issue(Kind::Good).write(folder.path()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let (server, port) = loop {
            // The port is free now; Redis cannot be given the socket itself, so another process may be faster.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            match serve(folder.path(), port, user).await {
                Ok(server) => break (server, port),
                Err(printed) if printed.contains("Address already in use") => {}
                Err(printed) => panic!("Redis ended:\n{printed}"),
            }
        };
        let world = world(json!({
            "engine": "redis", "host": "localhost", "port": port, "username": "app", "password": FIRST,
            "sslrootcert": authority.pem(),
        }));
        Scene { world: world.await, port, folder, _server: server }
    }

    /// Whether Redis's own client gets in with the password of this value.
    async fn accepts(&self, value: &Value) -> bool {
        let (port, ca) = (self.port.to_string(), self.folder.path().join("ca.pem"));
        let mut client = Command::new("redis-cli");
        client.args(["-h", "localhost", "-p", &port, "--tls", "--cacert"]).arg(ca);
        client.args(["--user", "app", "--no-auth-warning", "-a", value["password"].as_str().unwrap()]);
        let output = client.args(["ACL", "WHOAMI"]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).trim() == "app"
    }
}

/// Starts Redis; if it ends before it is ready, what it printed.
async fn serve(folder: &Path, port: u16, user: &str) -> Result<Child, String> {
    let config = format!(
        "port 0\ntls-port {port}\nbind 127.0.0.1\ntls-cert-file server.pem\ntls-key-file server.key\n\
         tls-ca-cert-file ca.pem\ntls-auth-clients no\nsave \"\"\nuser default off\nuser app on {user}\n"
    );
    std::fs::write(folder.join("redis.conf"), config).unwrap();
    // Debian's package of tools has the server under the name of a check; which of the two it is, its name decides.
    let mut server = Command::new("redis-check-rdb");
    server.arg0("redis-server").arg("redis.conf").current_dir(folder);
    let mut server = server.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("Ready to accept connections") {
            return Ok(server);
        }
        printed += &format!("{line}\n");
    }
    Err(printed)
}

async fn world(value: Value) -> World {
    let function = Function::new("rotate-redis", [env!("CARGO_BIN_EXE_rotate-redis")]);
    World::of(Options::default(), function, &value).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_passwords_are_valid_at_once_in_three_rotations_in_a_row() {
    let scene = Scene::with(&format!("~* +@all >{FIRST}")).await;
    for _ in 0..3 {
        let before = scene.world.current();
        scene.world.rotate().await.unwrap();
        assert_ne!(scene.world.current()["password"], before["password"]);
        assert!(scene.accepts(&scene.world.current()).await);
        assert!(scene.accepts(&before).await, "a copy from before the rotation is refused after it");
    }
    assert!(
        !scene.accepts(&json!({"password": FIRST})).await,
        "the password before the last but one is valid"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_anyone_can_be_is_refused() {
    let scene = Scene::with("~* +@all nopass").await;
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("NotOurs") && error.contains("with any password"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_change_itself_is_told_what_it_needs() {
    let scene = Scene::with(&format!("~* +@read +auth +acl|getuser +acl|whoami >{FIRST}")).await;
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("ServerRefused") && error.contains("+acl|setuser"), "{error}");
    assert!(scene.accepts(&scene.world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_nobody_knows_is_told_as_one() {
    let scene = Scene::with("~* +@all >s0mething-e1se").await;
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("LockedOut") && error.contains("WRONGPASS"), "{error}");
}
