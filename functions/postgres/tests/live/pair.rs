//! An application with two users: its account, an admin on the same server, and both secrets.

use std::sync::Arc;

use lab::servers::Postgres;
use lab::world::World;
use serde_json::{Value, json};

use super::app::{App, FIRST};

pub(crate) const ADMIN_SECRET: &str = "prod/admin";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// Everything.
    Superuser,
    /// RDS's: CREATEROLE, and ADMIN OPTION on the accounts it made.
    CreateRole,
}

/// The application and its admin.
pub(crate) struct Pair {
    /// The application's account; the original.
    pub(crate) app: App,
    pub(crate) admin: String,
    pub(crate) admin_password: String,
}

impl Pair {
    /// An application on a server that this test shares with others.
    pub(crate) async fn new(version: u32, power: Power) -> Pair {
        Pair::on(Postgres::shared(version).await.expect("a server starts"), power).await
    }

    pub(crate) async fn on(server: Arc<Postgres>, power: Power) -> Pair {
        let app = App::on(server).await;
        let server = &app.server;
        if power == Power::Superuser {
            let (admin, password) = (server.superuser().to_owned(), server.superuser_password().to_owned());
            return Pair { app, admin, admin_password: password };
        }
        let (admin, password) = (format!("admin_of_{}", app.user), "4dm1n-pa55-of-this-app".to_owned());
        let user = &app.user;
        // The rights of a role's creator: before PostgreSQL 16 none, and CREATEROLE is enough.
        let made = format!(
            "CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'; \
             DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN \
               EXECUTE 'GRANT {user} TO {admin} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE'; END IF; END $$"
        );
        server.execute(&made).await.expect("the admin is made, and given what it would have");
        Pair { app, admin, admin_password: password }
    }

    /// The name that AWS's functions would give the other user.
    pub(crate) fn clone_name(&self) -> String {
        format!("{}_clone", self.app.user)
    }

    pub(crate) async fn world(&self) -> World {
        self.world_with(&[], |_| ()).await
    }

    /// A world with an environment and a changed secret.
    pub(crate) async fn world_with(&self, env: &[(&str, &str)], change: impl FnOnce(&mut Value)) -> World {
        let world = self.app.world_with(env, |secret| {
            secret["masterarn"] = ADMIN_SECRET.into();
            change(secret);
        });
        let world = world.await;
        self.add_admin(&world, ADMIN_SECRET, |_| ());
        world
    }

    pub(crate) fn add_admin(&self, world: &World, name: &str, change: impl FnOnce(&mut Value)) {
        let mut secret = self.app.secret();
        secret["username"] = self.admin.as_str().into();
        secret["password"] = self.admin_password.as_str().into();
        change(&mut secret);
        world.lab.secrets().create(name, &secret.to_string()).expect("the admin secret is made");
    }

    pub(crate) async fn accepts(&self, value: &Value) -> bool {
        let text = |key: &str| value[key].as_str().expect("a text").to_owned();
        let (user, password) = (text("username"), text("password"));
        self.app.server.can_login(&user, &password, "postgres").await.expect("the server answers")
    }

    /// The first value of one column.
    pub(crate) async fn value(&self, sql: &str) -> Option<String> {
        let rows = self.app.server.query(sql).await.unwrap_or_else(|error| panic!("{error}"));
        rows.into_iter().next().and_then(|row| row.into_iter().next().flatten())
    }

    pub(crate) async fn version(&self) -> u32 {
        let number = self.value("SELECT current_setting('server_version_num')::int / 10000").await;
        number.and_then(|number| number.parse().ok()).expect("a server has a version")
    }

    /// The rows of a statement run in a session of this value's user.
    pub(crate) async fn as_user(&self, value: &Value, sql: &str) -> Result<Vec<String>, String> {
        self.as_user_in("postgres", value, sql).await
    }

    /// The same in another database.
    pub(crate) async fn as_user_in(
        &self,
        database: &str,
        value: &Value,
        sql: &str,
    ) -> Result<Vec<String>, String> {
        let text = |key: &str| value[key].as_str().expect("a text").to_owned();
        let client = self.app.server.connect(&text("username"), &text("password"), database).await;
        let client = client.map_err(|error| error.to_string())?;
        let messages = client.simple_query(sql).await.map_err(|error| {
            error.as_db_error().map_or_else(|| error.to_string(), |answer| answer.message().to_owned())
        })?;
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        Ok(rows.collect())
    }
}

/// The first user and password of an application, as a value.
pub(crate) fn first(user: &str) -> Value {
    json!({"username": user, "password": FIRST})
}
