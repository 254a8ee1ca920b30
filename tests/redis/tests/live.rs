//! The example of docs/contributing.md rotates a real Redis.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where, and stops")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use lab::Options;
use lab::certs::{Authority, Identity, Kind};
use lab::proxy::{Protocol, Proxy};
use lab::rotation::Step;
use lab::runtime::Function;
use lab::sweep::{self, Aftermath, Answer, Case, Cut, Stage};
use lab::world::World;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const FIRST: &str = "f1rst-Kq8vZt2m";

/// Redis with TLS and one user. It stops when this value is dropped.
struct Redis {
    port: u16,
    authority: Authority,
    identity: Identity,
    folder: TempDir,
    _server: Child,
}

/// A Redis, and a secret for its user.
struct Scene {
    world: World,
    redis: Redis,
}

impl Redis {
    /// `user` is the rest of the user's line in the configuration.
    async fn start(user: &str) -> Redis {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new();
        let identity = authority.issue(Kind::Good);
        identity.write(folder.path()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let (_server, port) = loop {
            // The port is free now. Another process may still take it first, because Redis cannot be given the socket itself.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            match serve(folder.path(), port, user).await {
                Ok(server) => break (server, port),
                Err(printed) if printed.contains("Address already in use") => {}
                Err(printed) => panic!("Redis ended:\n{printed}"),
            }
        };
        Redis { port, authority, identity, folder, _server }
    }

    /// A world with a secret for the user. The function reaches Redis through this port.
    async fn world(&self, port: u16) -> World {
        let function = Function::new("rotate-redis", [env!("CARGO_BIN_EXE_rotate-redis")]);
        let secret = json!({
            "engine": "redis", "host": "localhost", "port": port, "username": "app", "password": FIRST,
            "sslrootcert": self.authority.pem(),
        });
        World::of(Options::default(), function, &secret).await.unwrap()
    }

    /// Whether Redis's own client logs in with the password of this value.
    async fn accepts(&self, value: &Value) -> bool {
        let (port, ca) = (self.port.to_string(), self.folder.path().join("ca.pem"));
        let mut client = Command::new("redis-cli");
        client.args(["-h", "localhost", "-p", &port, "--tls", "--cacert"]).arg(ca);
        client.args(["--user", "app", "--no-auth-warning", "-a", value["password"].as_str().unwrap()]);
        let output = client.args(["ACL", "WHOAMI"]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).trim() == "app"
    }
}

impl Scene {
    async fn with(user: &str) -> Scene {
        let redis = Redis::start(user).await;
        Scene { world: redis.world(redis.port).await, redis }
    }

    async fn accepts(&self, value: &Value) -> bool {
        self.redis.accepts(value).await
    }
}

/// Starts Redis. If it ends before it is ready, returns its output.
async fn serve(folder: &Path, port: u16, user: &str) -> Result<Child, String> {
    let config = format!(
        "port 0\ntls-port {port}\nbind 127.0.0.1\ntls-cert-file server.pem\ntls-key-file server.key\n\
         tls-ca-cert-file ca.pem\ntls-auth-clients no\nsave \"\"\nuser default off\nuser app on {user}\n"
    );
    std::fs::write(folder.join("redis.conf"), config).unwrap();
    // Debian's package of tools has the server under the name of a check. The program decides by the name it is called by.
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

/// Redis has no lock, so a whole other rotation can run between setSecret's second look and its command. The page of a target
/// without a lock has to say what can happen then.
fn is_without_lock(case: &Case) -> bool {
    let last_look = Cut::Call { step: Step::SetSecret, number: 4, after: true };
    *case == Case { cut: last_look, aftermath: Aftermath::Overtaken }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_survives_a_cut_anywhere() {
    async fn stage() -> std::io::Result<Stage> {
        let redis = Arc::new(Redis::start(&format!("~* +@all >{FIRST}")).await);
        // The proxy decrypts TLS, so that it can cut between two messages.
        let proxy = Proxy::opening_tls(Protocol::Resp, "127.0.0.1", redis.port, &redis.identity).await?;
        let world = redis.world(proxy.port()).await;
        let accepts: sweep::Accepts = Arc::new(move |value: Value| {
            let redis = Arc::clone(&redis);
            Box::pin(async move { redis.accepts(&value).await }) as Answer<bool>
        });
        Ok(Stage { world, proxy: Some(Arc::new(proxy)), accepts, overlaps: true, epilogue: None })
    }
    let swept = sweep::check_all_but(is_without_lock, "the example", stage, 4).await;
    swept.unwrap_or_else(|failures| panic!("{failures}"));
}
