//! An application's user on a cluster, its secret, and an admin's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lab::servers::{Redshift, Tls};
use lab::world::World;
use serde_json::{Value, json};

/// The password every application starts with.
pub(crate) const FIRST: &str = "First-password-of-the-app1";

pub(crate) const ADMIN_SECRET: &str = "prod/admin";

/// A user on a cluster.
pub(crate) struct App {
    pub(crate) server: Arc<Redshift>,
    pub(crate) user: String,
}

impl App {
    /// Makes a user on the shared cluster, with a name that no other test has.
    pub(crate) async fn new() -> App {
        App::on(Redshift::shared(Tls::Good).await.expect("the stand-in starts")).await
    }

    pub(crate) async fn on(server: Arc<Redshift>) -> App {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let user = format!("app_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        App::named(server, &user).await
    }

    pub(crate) async fn named(server: Arc<Redshift>, user: &str) -> App {
        let quoted = user.replace('"', "\"\"");
        let sql = format!("CREATE USER \"{quoted}\" PASSWORD '{FIRST}'");
        server.execute(&sql).await.expect("the user is made");
        App { server, user: user.to_owned() }
    }

    /// The name that AWS's function would give the other user.
    pub(crate) fn clone_name(&self) -> String {
        format!("{}_clone", self.user)
    }

    /// The secret as it would be written for AWS's function, with a root to trust.
    pub(crate) fn secret(&self) -> Value {
        json!({
            "engine": "redshift", "host": self.server.host(), "port": self.server.port(), "username": self.user,
            "password": FIRST, "sslrootcert": self.server.ca_pem(), "note": {"kept": [1, 2.50]},
        })
    }

    pub(crate) fn admin_secret(&self) -> Value {
        let mut secret = self.secret();
        secret["username"] = self.server.admin().into();
        secret["password"] = self.server.admin_password().into();
        secret
    }

    pub(crate) async fn world(&self) -> World {
        self.world_with(&[], |_| ()).await
    }

    /// A world with an environment and a changed secret.
    pub(crate) async fn world_with(&self, env: &[(&str, &str)], change: impl FnOnce(&mut Value)) -> World {
        let mut secret = self.secret();
        change(&mut secret);
        World::new("rotate-redshift", env, &secret).await.expect("the world starts")
    }

    pub(crate) async fn pair_world(&self) -> World {
        self.pair_world_with(&[], |_| ()).await
    }

    /// A world around both secrets, with an environment and a changed secret.
    pub(crate) async fn pair_world_with(
        &self,
        env: &[(&str, &str)],
        change: impl FnOnce(&mut Value),
    ) -> World {
        let world = self.world_with(env, |secret| {
            secret["masterarn"] = ADMIN_SECRET.into();
            change(secret);
        });
        let world = world.await;
        let made = world.lab.secrets().create(ADMIN_SECRET, &self.admin_secret().to_string());
        made.expect("the admin secret is made");
        world
    }

    pub(crate) async fn accepts(&self, value: &Value) -> bool {
        let text = |key: &str| value[key].as_str().expect("a text").to_owned();
        self.server.can_login(&text("username"), &text("password")).await.expect("the cluster answers")
    }

    /// The first column of a query's rows, read as the admin.
    pub(crate) async fn column(&self, sql: &str) -> Vec<String> {
        let rows = self.server.query(sql).await.unwrap_or_else(|error| panic!("{error}"));
        rows.into_iter().map(|row| row.into_iter().next().flatten().unwrap_or_default()).collect()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap_or_else(|error| panic!("{error}"));
    }
}
