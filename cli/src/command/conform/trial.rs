//! A trial: one check, with accounts, secrets, functions and a Secrets Manager that no other check sees.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use lab::Options;
use lab::proxy::Proxy;
use lab::sweep::{Accepts, Answer, Stage};
use lab::world::World;
use serde_json::{Value, json};

use super::asked::{Shared, Strategy};
use super::bench::Bench;
use super::scene::Scene;
use super::server::Server;

/// Names the check to the function that is tried: a function that is wrong on purpose can be wrong in the right place.
const CHECK: &str = "TURNLOCK_CONFORM_CHECK";

/// The trial.
pub(super) struct Trial {
    pub(super) bench: Shared<Bench>,
    pub(super) seed: u64,
    /// None for what is done before any check.
    check: Option<&'static str>,
    /// Logins that the test tried itself, and that the server did not answer.
    unanswered: Unanswered,
}

type Unanswered = Arc<Mutex<Vec<String>>>;

/// How the function is to reach its server.
#[derive(Clone, Copy, Default)]
pub(super) struct Way {
    /// Another port than the server's own.
    pub(super) port: Option<u16>,
    /// What the secret says about TLS; nothing if none.
    pub(super) ssl: Option<bool>,
}

/// In clear text, which every function can speak.
pub(super) const PLAIN: Way = Way { port: None, ssl: Some(false) };

impl Trial {
    /// Before any check.
    pub(super) fn unnamed(bench: &Shared<Bench>) -> Trial {
        Trial { bench: Shared::clone(bench), seed: 0, check: None, unanswered: Unanswered::default() }
    }

    /// For a check of this name.
    pub(super) fn named(bench: &Shared<Bench>, check: &'static str, seed: u64) -> Trial {
        Trial { check: Some(check), seed, ..Trial::unnamed(bench) }
    }

    /// The first of the test's own logins that the server did not answer.
    pub(super) fn unanswered(&self) -> Option<String> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Whether AWSCURRENT has to log in at every instant.
    pub(super) fn overlaps(&self) -> bool {
        self.bench.strategy == Strategy::AlternatingUsers
    }

    /// A name that no other account has; short, because some functions add to it.
    pub(super) fn user(&self) -> String {
        format!("app{}", self.bench.number())
    }

    /// A new account on the bench's server, and its secret.
    pub(super) async fn scene(&self) -> io::Result<Scene> {
        self.scene_on(&self.bench.server, PLAIN).await
    }

    /// A new account on another server.
    pub(super) async fn scene_on(&self, server: &Arc<Server>, way: Way) -> io::Result<Scene> {
        self.scene_of(server, &self.user(), &password(), way).await
    }

    /// A new account behind a proxy, which opens the server's TLS if there is any.
    pub(super) async fn scene_behind(&self, server: &Arc<Server>, way: Way) -> io::Result<(Proxy, Scene)> {
        let proxy = self.proxy(server).await?;
        let scene = self.scene_on(server, Way { port: Some(proxy.port()), ..way }).await?;
        Ok((proxy, scene))
    }

    /// A new account of this name and password, and its secret.
    pub(super) async fn scene_of(
        &self,
        server: &Arc<Server>,
        user: &str,
        password: &str,
        way: Way,
    ) -> io::Result<Scene> {
        let world = self.world(server, user, password, way).await?;
        let accepts = self.accepts(server);
        Ok(Scene::new(world, server, user, accepts, self.overlaps()))
    }

    /// A new account behind a proxy, for a sweep.
    pub(super) async fn stage(&self) -> io::Result<Stage> {
        let server = &self.bench.server;
        let proxy = Arc::new(self.proxy(server).await?);
        let way = Way { port: Some(proxy.port()), ..PLAIN };
        Ok(Stage {
            world: self.world(server, &self.user(), &password(), way).await?,
            proxy: Some(proxy),
            accepts: self.accepts(server),
            overlaps: self.overlaps(),
            epilogue: None,
        })
    }

    async fn world(&self, server: &Server, user: &str, password: &str, way: Way) -> io::Result<World> {
        server.add(user, password).await?;
        self.bench.authorities.write(server.ca_pem())?;
        let mut secret = way.told(server, server.secret(user, password));
        if self.overlaps() {
            secret["masterarn"] = json!("prod/admin");
        }
        let mut function = self.bench.function.clone();
        if let Some(check) = self.check {
            function = function.env(CHECK, check);
        }
        let world = World::of(Options::default(), function, &secret).await?;
        if self.overlaps() {
            let (admin, password) = (format!("{}_adm", self.user()), self::password());
            server.add(&admin, &password).await?;
            server.empower(&admin).await?;
            let secret = way.told(server, server.secret(&admin, &password));
            world.lab.secrets().create("prod/admin", &secret.to_string()).map_err(io::Error::other)?;
        }
        Ok(world)
    }

    async fn proxy(&self, server: &Server) -> io::Result<Proxy> {
        let (protocol, host, port) = (self.bench.engine.protocol(), "127.0.0.1", server.port());
        match server.identity() {
            Some(identity) => Proxy::opening_tls(protocol, host, port, identity).await,
            None => Proxy::start(protocol, host, port).await,
        }
    }

    /// What logs in, for what runs beside the rotation. Of a server that does not answer nothing can be said, so that is noted.
    fn accepts(&self, server: &Arc<Server>) -> Accepts {
        let (server, unanswered) = (Arc::clone(server), Arc::clone(&self.unanswered));
        Arc::new(move |value: Value| {
            let (server, unanswered) = (Arc::clone(&server), Arc::clone(&unanswered));
            Box::pin(async move {
                server.accepts(&value).await.unwrap_or_else(|error| {
                    unanswered.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
                    false
                })
            }) as Answer<bool>
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

/// A password that is in no text by chance.
pub(super) fn password() -> String {
    format!("Zq8{:032x}", rand::random::<u128>())
}
