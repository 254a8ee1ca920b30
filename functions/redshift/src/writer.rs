//! How a password is set.

use rotation::database::account::Account;
use rotation::engine::job::Job;
use rotation::error::Result;
use wire_postgres::form::StoredAs;
use wire_postgres::password;

use crate::connect::explain;
use crate::dialect::Writer;
use crate::statement;

/// As Redshift stores most passwords ("CREATE USER", MD5). Never as `sha256|...`: the server asks the user of such a password for it
/// with a message that most clients do not speak.
const STORED_AS: StoredAs = StoredAs::Md5;

/// Gives a user its password; the password of an alternate expires when the original's does.
pub(crate) async fn set_password(
    job: &Job<'_>,
    writer: &Writer,
    pending: &Account,
    valid_until: Option<&str>,
) -> Result<()> {
    let sql = |sent: &str| match valid_until {
        Some(until) => statement::set_password_until(&pending.username, sent, until),
        None => statement::set_password(&pending.username, sent),
    };
    password::set(job, writer, pending, STORED_AS, sql, &explain).await
}
