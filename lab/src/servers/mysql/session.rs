//! Sessions with a MySQL or MariaDB server, for tests to prepare and to inspect.

use std::io;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Row, SslOpts, Value};

use super::MySql;

/// Answers that mean a wrong password: ER_ACCESS_DENIED_ERROR and ER_ACCESS_DENIED_NO_PASSWORD_ERROR.
const WRONG_PASSWORD: [u16; 2] = [1045, 1698];

impl MySql {
    /// Logs in, without a database if its name is empty. If the server has TLS, the session is encrypted, and the certificate, which
    /// may be a wrong one, is not checked.
    pub async fn connect(&self, user: &str, password: &str, database: &str) -> Result<Conn, Error> {
        let encryption = SslOpts::default().with_danger_accept_invalid_certs(true);
        let options = OptsBuilder::default()
            .ip_or_hostname(self.host())
            .tcp_port(self.port())
            .user(Some(user))
            .pass(Some(password))
            .db_name(Some(database).filter(|name| !name.is_empty()))
            .prefer_socket(false)
            .ssl_opts(self.has_tls.then_some(encryption));
        Conn::new(options).await
    }

    /// Whether this password is the user's. Returns an answer only if the server accepted or refused the password.
    ///
    /// A user that does not exist can be an error: MySQL then pretends to use some method, at times `sha256_password`, which the driver
    /// does not support.
    pub async fn can_login(&self, user: &str, password: &str, database: &str) -> io::Result<bool> {
        match self.connect(user, password, database).await {
            Ok(session) => {
                session.disconnect().await.map(|()| true).map_err(|error| failed("log out", &error))
            }
            Err(Error::Server(answer)) if WRONG_PASSWORD.contains(&answer.code) => Ok(false),
            Err(error) => Err(failed("log in", &error)),
        }
    }

    /// Runs statements as the superuser.
    pub async fn execute(&self, sql: &str) -> io::Result<()> {
        self.query(sql).await.map(drop)
    }

    /// The rows that the first of these statements gives the superuser, each value as text.
    pub async fn query(&self, sql: &str) -> io::Result<Vec<Vec<Option<String>>>> {
        self.query_as(self.superuser(), self.superuser_password(), sql).await
    }

    /// The rows that the first of these statements gives another user.
    pub async fn query_as(
        &self,
        user: &str,
        password: &str,
        sql: &str,
    ) -> io::Result<Vec<Vec<Option<String>>>> {
        let session = self.connect(user, password, "").await;
        let mut session = session.map_err(|error| failed(&format!("log in as {user}"), &error))?;
        let rows: Vec<Row> = session.query(sql).await.map_err(|error| failed(sql, &error))?;
        session.disconnect().await.map_err(|error| failed("log out", &error))?;
        let text = |value: Value| match value {
            Value::NULL => None,
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true)),
        };
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }
}

fn failed(doing: &str, error: &Error) -> io::Error {
    let why = match error {
        Error::Server(answer) => format!("{} ({})", answer.message, answer.code),
        other => other.to_string(),
    };
    io::Error::other(format!("MySQL: {doing}: {why}"))
}
