//! What a proxy knows: one secret, and the server behind it.

use std::io;
use std::sync::Arc;

use serde_json::Value;

use crate::secrets::Secrets;
use crate::servers::{MySql, Postgres};

/// The server behind a proxy.
#[derive(Clone)]
pub enum Behind {
    /// PostgreSQL.
    Postgres(Arc<Postgres>),
    /// MySQL or MariaDB.
    MySql(Arc<MySql>),
}

/// What the proxy can ask about a client.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) secrets: Secrets,
    pub(super) secret: String,
    pub(super) behind: Behind,
}

impl Known {
    /// The password of a user, if AWSCURRENT is for that user.
    pub(super) fn password(&self, user: &str) -> Option<String> {
        let value: Value = serde_json::from_str(&self.secrets.value(&self.secret, "AWSCURRENT")?).ok()?;
        (value["username"] == user).then(|| value["password"].as_str().map(str::to_owned))?
    }

    /// Whether the server behind takes it too.
    pub(super) async fn reaches_the_server(&self, user: &str, password: &str) -> io::Result<bool> {
        match &self.behind {
            Behind::Postgres(server) => server.can_login(user, password, "postgres").await,
            Behind::MySql(server) => server.can_login(user, password, "").await,
        }
    }
}
