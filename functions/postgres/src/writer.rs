//! The session that makes changes: its transaction, its lock, how it sets a password, and what refusals mean.

use std::time::Duration;

use aws_lc_rs::digest;
use rotation::database::account::Account;
use rotation::engine::job::Job;
use rotation::error::{Kind, Result};
use wire_postgres::connect::{Explain, Session};
use wire_postgres::password::{self, StoredAs};

use crate::dialect::Writer;
use crate::{holder, statement};

/// How long a rotation waits for another rotation of the same secret. The session waits longer for an answer, so the server's own
/// error arrives, which says what the rotation waited for.
const WAIT: Duration = Duration::from_secs(5);

/// After this long the server ends the session of a process that has disappeared.
pub(crate) const IDLE: Duration = Duration::from_secs(20);

/// How long a transaction waits for something in use, such as a table. Everybody who wants the table later waits behind it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// The server's answer when it granted the lock.
pub struct Lock {
    /// How the server stores passwords.
    stored_as: StoredAs,
}

impl Default for Lock {
    fn default() -> Lock {
        Lock { stored_as: StoredAs::Scram }
    }
}

impl Lock {
    /// Opens the transaction and takes the secret's lock.
    pub(crate) async fn take(job: &Job<'_>, session: &Session, secret_arn: &str) -> Result<Lock> {
        let sql = statement::begin_locked(lock_key(secret_arn), WAIT, PATIENCE, job.deadline.left(), IDLE);
        let rows = match session.run(job, "take the lock of this secret", &sql, &explain_lock).await {
            Err(error) if error.kind() == Kind::Conflict => {
                return Err(holder::name(job, session, lock_key(secret_arn), error).await);
            }
            taken => taken?,
        };
        // The last row is the setting `password_encryption`. Its values "md5" and "on" (the older spelling) mean MD5, all others SCRAM.
        let setting = rows.last().and_then(|row| row.first()?.as_deref());
        let is_md5 = matches!(setting, Some("md5" | "on"));
        Ok(Lock { stored_as: if is_md5 { StoredAs::Md5 } else { StoredAs::Scram } })
    }
}

/// Sets an account's password with the transaction's last statement, which `statement` makes.
pub(crate) async fn set_password(
    job: &Job<'_>,
    writer: &Writer,
    pending: &Account,
    statement: fn(&str, &str) -> String,
    explain: Explain<'_>,
) -> Result<()> {
    let sql = |sent: &str| statement(&pending.username, sent);
    password::set(job, writer, pending, writer.lock.stored_as, sql, explain).await
}

/// The advisory lock's number. It comes from the ARN, so every function that rotates this secret takes the same lock.
fn lock_key(secret_arn: &str) -> i64 {
    let hash = digest::digest(&digest::SHA256, secret_arn.as_bytes());
    let (first, _) = hash.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
    i64::from_be_bytes(*first)
}

/// A replica refuses to begin a transaction that writes, with its own code.
fn explain_lock(code: &str) -> Option<(Kind, String)> {
    if code == "0A000" { explain("25006") } else { explain(code) }
}

/// What a refused statement means: the kind of error, and what to do.
pub(crate) fn explain(code: &str) -> Option<(Kind, String)> {
    let (kind, remedy) = match code {
        "55P03" | "57014" => (
            Kind::Conflict,
            "another rotation of this secret or a long transaction is at work, or the server is overloaded; Secrets Manager tries again",
        ),
        "25006" => (
            Kind::ServerRefused,
            "this host is a read-only replica: put the writer's host into the secret (or the admin's, if it acts), or let an admin act (strategy \"admin\")",
        ),
        "42501" => (
            Kind::ServerRefused,
            "the user may not change its password: with rds.restrict_password_commands it needs the role rds_password; or let an admin act (strategy \"admin\")",
        ),
        "22023" | "28P01" => (
            Kind::ServerRefused,
            "a password policy of the server refused the new password: align PASSWORD_LENGTH and EXCLUDE_* with it, remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate again",
        ),
        "0A000" => (
            Kind::ServerRefused,
            "the server wants to judge the password itself: set PASSWORD_FORM=plaintext, remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate again",
        ),
        _ => return None,
    };
    Some((kind, remedy.to_owned()))
}

/// The same if an admin changes an account. The missing grants depend on the server's version, so the remedy names all of them.
pub(crate) fn explain_admin(code: &str, account: &str, admin: &str) -> Option<(Kind, String)> {
    match code {
        "42501" => Some((
            Kind::ServerRefused,
            format!(
                "the admin {admin:?} needs CREATEROLE, and from PostgreSQL 16 on: {}, run by the role that made it or by a superuser; \
                 with rds.restrict_password_commands also: GRANT rds_password TO {}; only a superuser can change a superuser",
                statement::grant_admin_option(account, admin),
                statement::identifier(admin)
            ),
        )),
        other => explain(other),
    }
}
