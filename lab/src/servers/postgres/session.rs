//! Sessions with a PostgreSQL server, for tests to prepare and to inspect.

use std::io;
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

use super::Postgres;

impl Postgres {
    /// Logs in, without TLS.
    pub async fn connect(&self, user: &str, password: &str, database: &str) -> Result<Client, Error> {
        connect(self.host(), self.port(), user, password, database).await
    }

    /// Whether this password is the user's. Returns an answer only if the server accepted or refused the password.
    pub async fn can_login(&self, user: &str, password: &str, database: &str) -> io::Result<bool> {
        match self.connect(user, password, database).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => Ok(false),
            Err(error) => Err(failed("log in", &error)),
        }
    }

    /// Runs statements as the superuser.
    pub async fn execute(&self, sql: &str) -> io::Result<()> {
        self.execute_in("postgres", sql).await
    }

    /// Runs statements as the superuser in a database.
    pub async fn execute_in(&self, database: &str, sql: &str) -> io::Result<()> {
        let client = self.superuser_session(database).await?;
        client.batch_execute(sql).await.map_err(|error| failed(sql, &error))
    }

    /// The rows that statements give the superuser, each value as text.
    pub async fn query(&self, sql: &str) -> io::Result<Vec<Vec<Option<String>>>> {
        self.query_in("postgres", sql).await
    }

    /// The rows that statements give the superuser in a database, each value as text.
    pub async fn query_in(&self, database: &str, sql: &str) -> io::Result<Vec<Vec<Option<String>>>> {
        let client = self.superuser_session(database).await?;
        rows(&client, sql).await.map_err(|error| failed(sql, &error))
    }

    async fn superuser_session(&self, database: &str) -> io::Result<Client> {
        let session = self.connect(self.superuser(), self.superuser_password(), database).await;
        session.map_err(|error| failed("log in as superuser", &error))
    }
}

/// Logs in, without TLS.
pub(in crate::servers) async fn connect(
    host: &str,
    port: u16,
    user: &str,
    password: &str,
    database: &str,
) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host(host).port(port).user(user).password(password).dbname(database);
    config.ssl_mode(SslMode::Disable).connect_timeout(Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await?;
    // The task ends when the client is dropped. If the connection breaks before, the client's next call says so.
    tokio::spawn(connection);
    Ok(client)
}

/// The rows that statements give, each value as text.
pub(in crate::servers) async fn rows(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.map(|row| (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()).collect())
}

/// Adds the server's words, because the driver's own text is only `db error`.
pub(in crate::servers) fn failed(doing: &str, error: &Error) -> io::Error {
    let why = match error.as_db_error() {
        Some(answer) => format!("{} ({})", answer.message(), answer.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    };
    io::Error::other(format!("PostgreSQL: {doing}: {why}"))
}
