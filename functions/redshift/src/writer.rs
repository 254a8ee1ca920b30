//! The session that makes changes, and how it sets a password.

use rotation::database::account::Account;
use rotation::error::Result;
use rotation::job::Job;
use wire_postgres::connect::Session;
use wire_postgres::password::{self, StoredAs};

use crate::connect::explain;
use crate::statement;

/// As Redshift stores most passwords ("CREATE USER", MD5). Never as `sha256|...`: the server asks the user of such a password for it
/// with a message that most clients do not speak.
const STORED_AS: StoredAs = StoredAs::Md5;

/// A session, and what it has learned.
pub struct Writer {
    /// The session.
    pub(crate) session: Session,
    /// The user that proved the secret by logging in, if an admin makes the changes.
    pub(crate) proven: Option<String>,
    /// The secret that the session acts for.
    pub(crate) secret_arn: String,
}

impl Writer {
    /// A session that the secret's own credential has opened.
    pub(crate) fn own(session: Session) -> Writer {
        Writer { session, proven: None, secret_arn: String::new() }
    }

    /// Gives a user its password; the password of an alternate expires when the original's does.
    pub(crate) async fn set_password(
        &self,
        job: &Job<'_>,
        pending: &Account,
        valid_until: Option<&str>,
    ) -> Result<()> {
        let sql = |sent: &str| match valid_until {
            Some(until) => statement::set_password_until(&pending.username, sent, until),
            None => statement::set_password(&pending.username, sent),
        };
        password::set(job, &self.session, pending, STORED_AS, sql, &explain).await
    }
}
