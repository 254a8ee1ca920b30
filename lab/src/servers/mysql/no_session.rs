//! Stands in for sessions with a MySQL server in a build without the `mysql` feature, which leaves the driver out. `cargo xtask
//! demo` is such a build, because it rotates with PostgreSQL alone.

use std::io;

use super::MySql;

impl MySql {
    /// Fails: this build has no driver.
    pub async fn can_login(&self, _user: &str, _password: &str, _database: &str) -> io::Result<bool> {
        Err(no_driver())
    }

    /// Fails: this build has no driver.
    pub async fn execute(&self, _sql: &str) -> io::Result<()> {
        Err(no_driver())
    }

    /// Fails: this build has no driver.
    pub async fn query(&self, _sql: &str) -> io::Result<Vec<Vec<Option<String>>>> {
        Err(no_driver())
    }

    /// Fails: this build has no driver.
    pub async fn query_as(
        &self,
        _user: &str,
        _password: &str,
        _sql: &str,
    ) -> io::Result<Vec<Vec<Option<String>>>> {
        Err(no_driver())
    }
}

fn no_driver() -> io::Error {
    io::Error::other(
        "this build has no MySQL driver; build it with the `mysql` feature, which is on by default",
    )
}
