//! An application's account on a server, and its secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lab::servers::Postgres;
use lab::world::World;
use serde_json::{Value, json};

/// The password every application starts with.
pub(crate) const FIRST: &str = "F1rst-pa55-of-this-app";

/// An account on a server that this test shares with others.
pub(crate) struct App {
    pub(crate) server: Arc<Postgres>,
    pub(crate) user: String,
}

impl App {
    /// Makes an account with a name that no other test has.
    pub(crate) async fn new(version: u32) -> App {
        App::on(Postgres::shared(version).await.expect("a server starts")).await
    }

    pub(crate) async fn on(server: Arc<Postgres>) -> App {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let user = format!("app_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        App::named(server, &user).await
    }

    pub(crate) async fn named(server: Arc<Postgres>, user: &str) -> App {
        let quoted = user.replace('"', "\"\"");
        server
            .execute(&format!("CREATE ROLE \"{quoted}\" LOGIN PASSWORD '{FIRST}'"))
            .await
            .expect("the account is made");
        App { server, user: user.to_owned() }
    }

    /// The secret as it would be written for AWS's function.
    pub(crate) fn secret(&self) -> Value {
        json!({
            "engine": "postgres", "host": self.server.host(), "port": self.server.port(), "username": self.user,
            "password": FIRST, "dbname": "postgres", "sslrootcert": self.server.ca_pem(), "note": {"kept": [1, 2.50]},
        })
    }

    pub(crate) async fn world(&self) -> World {
        self.world_with(&[], |_| ()).await
    }

    /// A world with an environment and a changed secret.
    pub(crate) async fn world_with(&self, env: &[(&str, &str)], change: impl FnOnce(&mut Value)) -> World {
        let mut secret = self.secret();
        change(&mut secret);
        World::new("rotate-postgres", env, &secret).await.expect("the world starts")
    }

    /// Whether a value's password is the account's.
    pub(crate) async fn accepts(&self, value: &Value) -> bool {
        let password = value["password"].as_str().expect("the value has a password");
        self.server.can_login(&self.user, password, "postgres").await.expect("the server answers")
    }
}
