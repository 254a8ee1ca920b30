//! The session that makes changes: its transaction, its lock, how it sets a password, and what refusals mean.

use std::time::Duration;

use aws_lc_rs::digest;
use rotation::database::account::Account;
use rotation::engine::job::Job;
use rotation::error::{Kind, Result};
use wire_postgres::connect::{Explain, Session};
use wire_postgres::form::StoredAs;
use wire_postgres::{password, verifier};

use crate::dialect::Writer;
use crate::statement::Limits;
use crate::statement::declared::PATIENCE;
use crate::{holder, statement};

/// How long a rotation waits for another rotation of the same secret. The session waits longer for an answer, so the server's own
/// error arrives, which says what the rotation waited for.
const WAIT: Duration = Duration::from_secs(5);

/// The lock of a secret.
#[derive(Default)]
pub struct Lock {
    key: i64,
    /// How often a new password is hashed.
    iterations: u32,
}

impl Lock {
    /// Opens the transaction and takes the secret's lock.
    pub(crate) async fn take(job: &Job<'_>, session: &Session, secret_arn: &str) -> Result<Lock> {
        if session.is_pooled {
            tracing::warn!(
                "a pooler or proxy stands before the server, or the server is older than PostgreSQL 14. A rotation works as long as the \
                 pooler learns new passwords from the server; the server's own host in the secret is safer"
            );
        }
        let key = lock_key(secret_arn);
        let sql = statement::begin_locked(key, WAIT, PATIENCE, Limits::of(session, job));
        match session.run(job, "take the lock of this secret", &sql, &explain_lock).await {
            Err(error) if error.kind() == Kind::Conflict => Err(holder::name(job, session, key, error).await),
            taken => {
                let rows = taken?;
                let setting = rows.last().and_then(|row| row.first()?.as_deref());
                Ok(Lock { key, iterations: verifier::iterations(setting) })
            }
        }
    }
}

/// Sets the password of an account that nobody uses yet, with the transaction's last statement, which `statement` makes.
pub(crate) async fn set_password(
    job: &Job<'_>,
    writer: &Writer,
    pending: &Account,
    statement: fn(&str, &str) -> String,
    explain: Explain<'_>,
) -> Result<()> {
    let form = form(writer);
    let sql = |sent: &str| {
        let set = statement(&pending.username, sent);
        format!("{}; {set}; {}", statement::stored_as(form), statement::COMMIT)
    };
    password::set(job, writer, pending, form, writer.lock.iterations, sql, explain).await
}

/// Gives the account that is in use its password. The lock outlives the transaction, and the session is ready to set the password
/// back in the next one.
pub(crate) async fn set_password_in_use(
    job: &Job<'_>,
    writer: &Writer,
    pending: &Account,
    explain: Explain<'_>,
) -> Result<()> {
    let form = form(writer);
    let next = statement::commit_locked(writer.lock.key, PATIENCE, Limits::of(writer, job));
    let sql = |sent: &str| {
        let set = statement::set_password(&pending.username, sent);
        format!("{}; {set}; {next}", statement::stored_as(form))
    };
    password::set(job, writer, pending, form, writer.lock.iterations, sql, explain).await
}

/// The form in which a password is stored: the one that the secret's own login has shown to work. No setting of the role or of the
/// database decides. A reset has no such login; SCRAM is good for every way in which PostgreSQL checks a stored password.
fn form(writer: &Writer) -> StoredAs {
    match (&writer.proven, writer.is_admin) {
        (Some(login), _) => login.form,
        (None, false) => writer.form,
        (None, true) => StoredAs::Scram,
    }
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
        "25P03" | "25P04" | "57P05" => (
            Kind::ServerRefused,
            "idle_session_timeout or another time limit of the role, the database or a pooler ends sessions before a rotation can work: raise it to a second or more",
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
            "the server checks passwords itself and refuses hashes: set PASSWORD_FORM=plaintext, remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate again",
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
