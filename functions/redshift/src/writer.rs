//! Sets a password.

use rotation::database::account::Account;
use rotation::engine::job::Job;
use rotation::error::Result;
use wire_postgres::form::StoredAs;
use wire_postgres::password;

use crate::connect::explain;
use crate::dialect::Writer;
use crate::statement;

/// Redshift stores most passwords like this ("CREATE USER", MD5). `sha256|...` is never used: at the login the server would ask
/// for such a password with a message that most clients do not know.
const STORED_AS: StoredAs = StoredAs::Md5;

/// MD5 hashes once.
const NO_ITERATIONS: u32 = 0;

/// Sets a user's password. An alternate's password expires when the original's does.
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
    password::set(job, writer, pending, STORED_AS, NO_ITERATIONS, sql, &explain).await
}
