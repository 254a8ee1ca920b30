//! An application's account on a server, and its secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lab::servers::{Flavor, MySql, Release};
use lab::world::World;
use serde_json::{Value, json};

/// The password every application starts with.
pub(crate) const FIRST: &str = "F1rst-pa55-of-this-app!";
/// The admin's.
pub(crate) const ADMINS: &str = "Th3-Adm1ns-0wn-pa55!";

/// An account on a server that this test shares with others.
pub(crate) struct App {
    pub(crate) server: Arc<MySql>,
    pub(crate) user: String,
    /// Its host part.
    pub(crate) host: String,
}

impl App {
    /// Makes an account with a name that no other test has.
    pub(crate) async fn new(release: Release) -> App {
        App::on(MySql::shared(release).await.expect("a server starts")).await
    }

    pub(crate) async fn on(server: Arc<MySql>) -> App {
        App::named(server, &unique("app"), "%").await
    }

    pub(crate) async fn named(server: Arc<MySql>, user: &str, host: &str) -> App {
        let app = App { server, user: user.to_owned(), host: host.to_owned() };
        app.server
            .execute(&format!("CREATE USER {} IDENTIFIED BY '{FIRST}'", app.account()))
            .await
            .expect("the account is made");
        app
    }

    pub(crate) fn account(&self) -> String {
        account(&self.user, &self.host)
    }

    pub(crate) fn clone_account(&self) -> String {
        account(&format!("{}_clone", self.user), &self.host)
    }

    pub(crate) fn is_mariadb(&self) -> bool {
        self.server.flavor() == Flavor::MariaDb
    }

    /// The secret as it would be written for AWS's function.
    pub(crate) fn secret(&self) -> Value {
        json!({
            "engine": if self.is_mariadb() { "mariadb" } else { "mysql" }, "host": self.server.host(),
            "port": self.server.port(), "username": self.user, "password": FIRST,
            "sslrootcert": self.server.ca_pem(), "note": {"kept": [1, 2.50]},
        })
    }

    pub(crate) async fn world(&self) -> World {
        self.world_with(&[], |_| ()).await
    }

    /// A world with an environment and a changed secret.
    pub(crate) async fn world_with(&self, env: &[(&str, &str)], change: impl FnOnce(&mut Value)) -> World {
        let mut secret = self.secret();
        change(&mut secret);
        World::new("rotate-mysql", env, &secret).await.expect("the world starts")
    }

    /// A world with a strategy, and with an admin's secret.
    pub(crate) async fn world_as(&self, strategy: &str, change: impl FnOnce(&mut Value)) -> World {
        self.world_of(strategy, &[], change, |_| ()).await
    }

    /// A world with a strategy, an environment, a changed secret, and a changed secret of an admin.
    pub(crate) async fn world_of(
        &self,
        strategy: &str,
        env: &[(&str, &str)],
        change: impl FnOnce(&mut Value),
        change_admin: impl FnOnce(&mut Value),
    ) -> World {
        let mut admin = self.admin().await;
        change_admin(&mut admin);
        let world = self.world_with(env, |secret| {
            secret["strategy"] = strategy.into();
            secret["masterarn"] = "prod/admin".into();
            change(secret);
        });
        let world = world.await;
        world.lab.secrets().create("prod/admin", &admin.to_string()).expect("the admin's secret is made");
        world
    }

    pub(crate) async fn admin(&self) -> Value {
        let admin = account(&unique("admin"), "%");
        let made = format!(
            "CREATE USER {admin} IDENTIFIED BY '{ADMINS}'; GRANT ALL ON *.* TO {admin} WITH GRANT OPTION; \
             GRANT PROXY ON ''@'{}' TO {admin} WITH GRANT OPTION",
            if self.is_mariadb() { "%" } else { "" }
        );
        for sql in made.split("; ") {
            self.server.execute(sql).await.expect("the admin is made");
        }
        let user = admin.split('\'').nth(1).expect("the name is quoted");
        json!({
            "engine": self.secret()["engine"], "host": self.server.host(), "port": self.server.port(), "username": user,
            "password": ADMINS, "sslrootcert": self.server.ca_pem(),
        })
    }

    /// Whether a value's credential is accepted by the server.
    pub(crate) async fn accepts(&self, value: &Value) -> bool {
        let text = |key: &str| value[key].as_str().expect("the value has it").to_owned();
        self.server.can_login(&text("username"), &text("password"), "").await.expect("the server answers")
    }

    /// Whether the account's own user has this password.
    pub(crate) async fn has(&self, password: &str) -> bool {
        self.accepts(&json!({"username": self.user, "password": password})).await
    }
}

/// A name that no other test has.
pub(crate) fn unique(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{kind}_{}_{}", std::process::id() % 100_000, NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn account(user: &str, host: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    format!("{}@{}", quoted(user), quoted(host))
}
