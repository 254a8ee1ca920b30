//! Where a function is tried: its command, a server, and for each trial an account, a secret, and a Secrets Manager of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lab::Options;
use lab::proxy::Proxy;
use lab::rotation::Step;
use lab::runtime::Function;
use lab::servers::Tls;
use lab::sweep::{self, Answer, Stage, violation};
use lab::world::World;
use serde_json::{Value, json};

use super::asked::{Conform, Engine, Strategy};
use super::flaw::Flaw;
use super::server::Server;
use crate::failure::Failure;
use crate::function;

/// The bench.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) strategy: Strategy,
    pub(super) server: Arc<Server>,
    pub(super) seed: u64,
    pub(super) all: bool,
    function: Function,
    authorities: Authorities,
    next: AtomicU32,
}

/// How the function is to reach its server.
#[derive(Clone, Copy, Default)]
pub(super) struct Way {
    /// Another port than the server's own.
    pub(super) port: Option<u16>,
    /// What the secret says about TLS; nothing if none.
    pub(super) ssl: Option<bool>,
}

/// In clear text, so that a proxy can tell the messages apart.
pub(super) const PLAIN: Way = Way { port: None, ssl: Some(false) };

/// An account, its secret under rotation, and the function.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) server: Arc<Server>,
    pub(super) user: String,
    overlaps: bool,
}

impl Bench {
    pub(super) async fn new(asked: &Conform, seed: u64, timeout: Duration) -> Result<Arc<Bench>, Failure> {
        let authorities = Authorities::new(asked.ca_file.clone())?;
        let function = function::program("conform", &asked.command).timeout(timeout);
        let function = function.env("SSL_CERT_FILE", &authorities.path);
        let server = Server::start(asked.engine, Tls::Good).await.map_err(|error| {
            Failure::blind(
                format!("no database can be had here: {}", error.to_string().trim_end()),
                "install it from your distribution; without it npm can fetch PostgreSQL, and apt-get MySQL and MariaDB",
            )
        })?;
        let (engine, strategy) = (asked.engine, asked.strategy);
        let (server, next) = (Arc::new(server), AtomicU32::new(1));
        let bench = Bench { engine, strategy, server, seed, all: asked.all, function, authorities, next };
        bench.scene().await.map(drop).map_err(|error| {
            Failure::usage(error.to_string(), "check the command: it has to speak the Lambda runtime API")
        })?;
        Ok(Arc::new(bench))
    }

    /// Whether AWSCURRENT has to log in at every instant.
    pub(super) fn overlaps(&self) -> bool {
        self.strategy == Strategy::AlternatingUsers
    }

    /// A name that no other account has; short, because some functions add to it.
    pub(super) fn user(&self) -> String {
        format!("app{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A new account on the bench's server, and its secret.
    pub(super) async fn scene(&self) -> io::Result<Scene> {
        self.scene_of(&self.server, &self.user(), &password(), PLAIN).await
    }

    /// A new account on another server.
    pub(super) async fn scene_on(&self, server: &Arc<Server>, way: Way) -> io::Result<Scene> {
        self.scene_of(server, &self.user(), &password(), way).await
    }

    /// A new account of this name and password, and its secret.
    pub(super) async fn scene_of(
        &self,
        server: &Arc<Server>,
        user: &str,
        password: &str,
        way: Way,
    ) -> io::Result<Scene> {
        server.add(user, password).await?;
        self.authorities.write(server.ca_pem())?;
        let mut secret = way.told(server, server.secret(user, password));
        if self.overlaps() {
            secret["masterarn"] = json!("prod/admin");
        }
        let world = World::of(Options::default(), self.function.clone(), &secret).await?;
        if self.overlaps() {
            let (admin, password) = (format!("{}_adm", self.user()), self::password());
            server.add(&admin, &password).await?;
            server.empower(&admin).await?;
            let secret = way.told(server, server.secret(&admin, &password));
            world.lab.secrets().create("prod/admin", &secret.to_string()).map_err(io::Error::other)?;
        }
        let (server, user) = (Arc::clone(server), user.to_owned());
        Ok(Scene { world, server, user, overlaps: self.overlaps() })
    }

    /// A proxy in front of the bench's server, for traffic in clear text: it takes all of it message by message.
    pub(super) async fn proxy(&self) -> io::Result<Proxy> {
        Proxy::start(self.engine.protocol(), "127.0.0.1", self.server.port()).await
    }

    /// A proxy in front of another server, which opens that server's TLS if it has any.
    pub(super) async fn proxy_of(&self, server: &Server) -> io::Result<Proxy> {
        let (protocol, host, port) = (self.engine.protocol(), "127.0.0.1", server.port());
        match server.identity() {
            Some(identity) => Proxy::opening_tls(protocol, host, port, identity).await,
            None => Proxy::start(protocol, host, port).await,
        }
    }

    /// A new account behind a proxy.
    pub(super) async fn stage(&self) -> io::Result<Stage> {
        let proxy = Arc::new(self.proxy().await?);
        let scene = self.scene_on(&self.server, Way { port: Some(proxy.port()), ..PLAIN }).await?;
        let accepts = scene.login();
        Ok(Stage {
            world: scene.world,
            proxy: Some(proxy),
            accepts,
            overlaps: self.overlaps(),
            epilogue: None,
        })
    }
}

impl Way {
    fn told(self, server: &Server, mut secret: Value) -> Value {
        if let Some(port) = self.port {
            secret["port"] = json!(port);
        }
        if let Some(ssl) = self.ssl {
            secret["ssl"] = json!(ssl);
        }
        if self.ssl != Some(false) {
            secret["sslrootcert"] = json!(server.ca_pem());
        }
        secret
    }
}

impl Scene {
    /// What logs in, for what runs beside the rotation. A server that does not answer lets nobody in.
    pub(super) fn login(&self) -> sweep::Accepts {
        let server = Arc::clone(&self.server);
        Arc::new(move |value: Value| {
            let server = Arc::clone(&server);
            Box::pin(async move { server.accepts(&value).await.unwrap_or(false) }) as Answer<bool>
        })
    }

    /// Rotates once. A function that only says so has not.
    pub(super) async fn rotate(&self) -> Result<String, String> {
        let token = self.world.rotate().await?;
        match self.version("AWSCURRENT").as_deref() == Some(token.as_str()) {
            true => Ok(token),
            false => Err("every step succeeds, and the new version is not current".to_owned()),
        }
    }

    /// Runs a step; its error as one text.
    pub(super) async fn step(&self, token: &str, step: Step) -> Result<(), String> {
        self.world.step(token, step).await.map_err(|error| format!("{}: {error}", step.name()))
    }

    /// Sees that the promise holds now: something stored logs in, and where two users take turns, AWSCURRENT does.
    pub(super) async fn holds(&self, when: &str) -> Result<(), Flaw> {
        let secrets = self.world.lab.secrets();
        match violation(&secrets, &self.world.secret, &self.login(), self.overlaps).await {
            Some(broken) => Err(Flaw::Fails(format!("{when} {broken}"))),
            None => Ok(()),
        }
    }

    /// The value that clients use.
    pub(super) fn current(&self) -> Result<Value, Flaw> {
        let value = self.world.labelled("AWSCURRENT");
        value.ok_or_else(|| Flaw::Fails("AWSCURRENT has no value that clients could read".into()))
    }

    /// Sees that AWSCURRENT logs in.
    pub(super) async fn current_logs_in(&self, when: &str) -> Result<(), Flaw> {
        match self.server.accepts(&self.current()?).await? {
            true => Ok(()),
            false => Err(Flaw::Fails(format!("{when} AWSCURRENT does not log in"))),
        }
    }

    /// The version that a label is on.
    pub(super) fn version(&self, label: &str) -> Option<String> {
        self.world.lab.secrets().version_with(&self.world.secret, label)
    }

    /// Every password that any version holds, and the admin's.
    pub(super) fn passwords(&self) -> Vec<String> {
        let admin = self.world.lab.secrets().value("prod/admin", "AWSCURRENT");
        let admin = admin.and_then(|text| serde_json::from_str(&text).ok());
        let values = self.world.values().into_iter().chain(admin);
        values.filter_map(|value| value["password"].as_str().map(str::to_owned)).collect()
    }
}

/// A password that is in no text by chance.
pub(super) fn password() -> String {
    format!("Zq8{:032x}", rand::random::<u128>())
}

/// The file with the authorities that the function is to trust; it goes with this value.
struct Authorities {
    path: PathBuf,
}

impl Authorities {
    fn new(wanted: Option<PathBuf>) -> Result<Authorities, Failure> {
        let own = || std::env::temp_dir().join(format!("turnlock-{:016x}.pem", rand::random::<u64>()));
        let path = wanted.unwrap_or_else(own);
        if path.exists() {
            return Err(Failure::usage(
                format!("{} exists", path.display()),
                "the test makes and removes this file; move what is there out of the way",
            ));
        }
        let authorities = Authorities { path };
        let folder = authorities.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).and_then(|()| authorities.write("")).map_err(|error| {
            Failure::usage(
                format!("{}: {error}", authorities.path.display()),
                "name a file in a folder that you may write to",
            )
        })?;
        Ok(authorities)
    }

    /// Puts a whole file in the old one's place: a function of another trial may be reading it at this moment.
    fn write(&self, pem: &str) -> io::Result<()> {
        let new = self.path.with_extension(format!("{:016x}", rand::random::<u64>()));
        fs::write(&new, pem)?;
        fs::rename(&new, &self.path)
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
