//! A stand-in for Amazon Redshift, which cannot be run outside AWS: a real PostgreSQL behind a gate.
//!
//! Users, passwords, groups, roles, privileges and sessions are PostgreSQL's, so the permissions are real. The gate refuses what
//! Redshift refuses (`rules`, each with the AWS page that says so), translates what only Redshift has, and offers Redshift's
//! system views (`catalog.sql`). It does not imitate sorting, distribution, external data or speed. If AWS documents a refusal
//! without its code, the code is a guess.

mod cursor;
mod defaults;
mod deployment;
mod gate;
mod grant;
mod password;
mod refusal;
mod rules;
mod setting;
mod show;
mod token;
mod translate;
mod user;
mod wire;

use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio_postgres::{Client, Error};

use super::Tls;
use super::postgres::{self, Auth, Postgres};
use super::shared::Shared;
use crate::certs::{Authority, Identity};
use crate::lock::locked;
use gate::Gate;

pub use deployment::Deployment;

/// The user that a cluster starts with.
const ADMIN: &str = "awsuser";
/// Its password.
const ADMIN_PASSWORD: &str = "Admin-of-the-cluster-1";
/// The first PostgreSQL with a privilege to keep Redshift's ALTER in (MAINTAIN).
const VERSION: u32 = 17;

/// A running stand-in. Dropping it stops it.
pub struct Redshift {
    /// Tells the gate to close.
    door: Option<oneshot::Sender<()>>,
    queries: Arc<Mutex<Vec<String>>>,
    port: u16,
    ca_pem: String,
    identity: Option<Identity>,
    /// The last field, so that it is dropped last.
    postgres: Postgres,
}

impl Redshift {
    /// Starts a stand-in of a provisioned cluster, with this certificate or without one.
    pub async fn start(tls: Tls) -> io::Result<Redshift> {
        Redshift::start_as(Deployment::Provisioned, tls).await
    }

    /// Starts a stand-in of this kind of cluster, with this certificate or without one.
    pub async fn start_as(deployment: Deployment, tls: Tls) -> io::Result<Redshift> {
        let options = Postgres::version(VERSION).tls(Tls::Off).auth(Auth::Md5);
        // Views must be in the same schema as in Redshift, and every login of a test counts.
        let options = options.setting("allow_system_table_mods", "on").setting("max_connections", "200");
        let postgres = options.start().await?;
        postgres.execute_in("template1", include_str!("redshift/catalog.sql")).await?;
        let admin = format!("CREATE ROLE {ADMIN} SUPERUSER LOGIN PASSWORD '{ADMIN_PASSWORD}'");
        postgres.execute(&admin).await?;
        postgres.execute(&format!("CREATE DATABASE dev OWNER {ADMIN}")).await?;
        for role in ["superuser", "dba", "operator", "secadmin", "monitor"] {
            postgres.execute(&format!("CREATE ROLE \"role:sys:{role}\"")).await?;
        }
        let authority = Authority::new();
        let identity = tls.certificate().map(|kind| authority.issue(kind));
        let queries = Arc::default();
        let gate = Gate {
            tls: identity.as_ref().map(Identity::acceptor).transpose()?,
            server: postgres.port(),
            deployment,
            superuser: (postgres.superuser().to_owned(), postgres.superuser_password().to_owned()),
            queries: Arc::clone(&queries),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (door, closed) = oneshot::channel();
        // The gate has a thread of its own, because the tests that share it end together with their runtimes.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // The stand-in was told to close, or was dropped.
                    _ = closed => {}
                    ended = gate::serve(gate, listener) => ended.expect("the gate stays open"),
                }
            });
        });
        Ok(Redshift { door: Some(door), queries, port, ca_pem: authority.pem(), identity, postgres })
    }

    /// The name that the certificate is for.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that a client has to trust, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate and key, for a proxy that opens the stand-in's TLS; `None` without TLS.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The user that may do anything.
    pub fn admin(&self) -> &'static str {
        ADMIN
    }

    /// The admin's password.
    pub fn admin_password(&self) -> &'static str {
        ADMIN_PASSWORD
    }

    /// Logs in through the gate, without TLS.
    pub async fn connect(&self, user: &str, password: &str, database: &str) -> Result<Client, Error> {
        postgres::connect("127.0.0.1", self.port, user, password, database).await
    }

    /// Whether this password is the user's.
    pub async fn can_login(&self, user: &str, password: &str) -> io::Result<bool> {
        match self.connect(user, password, "dev").await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_db_error().is_some_and(|error| error.message().starts_with("password")) =>
            {
                Ok(false)
            }
            Err(error) => Err(postgres::failed("log in", &error)),
        }
    }

    /// Runs statements as the admin, in Redshift's SQL.
    pub async fn execute(&self, sql: &str) -> io::Result<()> {
        self.execute_in("dev", sql).await
    }

    /// Runs statements as the admin in a database.
    pub async fn execute_in(&self, database: &str, sql: &str) -> io::Result<()> {
        let client = self.admin_session(database).await?;
        client.batch_execute(sql).await.map_err(|error| postgres::failed(sql, &error))
    }

    /// The rows that a query gives the admin, each value as text.
    pub async fn query(&self, sql: &str) -> io::Result<Vec<Vec<Option<String>>>> {
        self.query_in("dev", sql).await
    }

    /// The rows that a query gives the admin in a database.
    pub async fn query_in(&self, database: &str, sql: &str) -> io::Result<Vec<Vec<Option<String>>>> {
        let client = self.admin_session(database).await?;
        postgres::rows(&client, sql).await.map_err(|error| postgres::failed(sql, &error))
    }

    /// Runs statements of PostgreSQL behind the gate, which brings the cluster into a state that no statement of Redshift can.
    pub async fn execute_behind(&self, database: &str, sql: &str) -> io::Result<()> {
        self.postgres.execute_in(database, sql).await
    }

    /// Every query so far, as it was sent.
    pub fn queries(&self) -> Vec<String> {
        locked(&self.queries).clone()
    }

    async fn admin_session(&self, database: &str) -> io::Result<Client> {
        let session = self.connect(ADMIN, ADMIN_PASSWORD, database).await;
        session.map_err(|error| postgres::failed("log in as admin", &error))
    }

    /// The stand-in with this certificate that all tests of this process share. The first caller starts it.
    pub async fn shared(tls: Tls) -> io::Result<Arc<Redshift>> {
        Redshift::shared_for(tls, u32::MAX).await
    }

    /// The shared stand-in. After this many uses a new one replaces it, because its views list the privileges of all users.
    pub async fn shared_for(tls: Tls, uses: u32) -> io::Result<Arc<Redshift>> {
        static SHARED: Shared<Tls, Redshift> = Shared::new();
        SHARED.server(&tls, uses, async || Redshift::start(tls).await).await
    }

    /// The log of the PostgreSQL behind the gate.
    pub fn log(&self) -> String {
        self.postgres.log()
    }
}

impl Drop for Redshift {
    fn drop(&mut self) {
        // If the gate's thread is gone already, there is nothing left to close.
        let _ = self.door.take().map(|door| door.send(()));
    }
}
