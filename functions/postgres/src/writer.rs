//! What the session that makes changes does: its transaction, its lock, passwords as it sends them, and what refusals mean.

use std::time::Duration;

use aws_lc_rs::digest;
use postgres_protocol::password;
use rotation::database::account::Account;
use rotation::error::{Kind, Result};
use rotation::job::Job;
use rotation::secret::Secret;
use rotation::settings::PasswordForm;

use crate::connect::{Explain, Session};
use crate::{Writer, statement};

/// How long a rotation waits for another one of the same secret. Shorter than the driver is waited for, so that the server's
/// answer is heard, which says what the wait was for.
const WAIT: Duration = Duration::from_secs(5);

/// A writer whose process is gone without a word is dropped by the server after this long.
pub(crate) const IDLE: Duration = Duration::from_secs(20);

/// How long a transaction waits for what somebody else uses, such as a table: whoever comes later waits behind it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// What taking the lock has shown.
#[derive(Default)]
pub struct Lock {
    stores_md5: bool,
}

impl Lock {
    /// Opens the transaction and takes the secret's lock.
    pub(crate) async fn take(job: &Job<'_>, session: &Session, secret_arn: &str) -> Result<Lock> {
        let sql = statement::begin_locked(lock_key(secret_arn), WAIT, PATIENCE, job.deadline.left(), IDLE);
        let rows = session.run(job, "take the lock of this secret", &sql, &explain_lock).await?;
        // The last row is the setting; anything but md5 and its ancient spelling means SCRAM.
        let stored_as = rows.last().and_then(|row| row.first()?.clone());
        Ok(Lock { stores_md5: matches!(stored_as.as_deref(), Some("md5" | "on")) })
    }
}

/// Gives an account its password with the transaction's last statement, made by one of `statement`'s.
pub(crate) async fn set_password(
    job: &Job<'_>,
    writer: &Writer,
    pending: &Account,
    statement: fn(&str, &str) -> String,
    explain: Explain<'_>,
) -> Result<()> {
    let form = stored_form(&pending.password, &pending.username, writer.lock.stores_md5, job.settings.form);
    job.scrub.learn(&form);
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes the password, hashed where the server allows, to the statement that sets it"
    )]
    let sql = Secret::new(statement(&pending.username, form.expose()));
    #[expect(clippy::disallowed_methods, reason = "exposes the statement to the driver, which sends it")]
    writer.run(job, "set the new password", sql.expose(), explain).await.map(drop)
}

/// The advisory lock's number: from the ARN, so that every function that rotates this secret means the same lock.
fn lock_key(secret_arn: &str) -> i64 {
    let hash = digest::digest(&digest::SHA256, secret_arn.as_bytes());
    let (first, _) = hash.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
    i64::from_be_bytes(*first)
}

/// The password as it is sent: what the server would have stored, so that no log ever shows the password itself.
#[expect(
    clippy::disallowed_methods,
    reason = "exposes the password to be hashed, or as it is where the deployment asks for that"
)]
fn stored_form(password: &Secret, username: &str, md5: bool, form: PasswordForm) -> Secret {
    match form {
        PasswordForm::Plaintext => password.share(),
        PasswordForm::Hashed if md5 => Secret::new(password::md5(password.expose().as_bytes(), username)),
        PasswordForm::Hashed => Secret::new(password::scram_sha_256(password.expose().as_bytes())),
    }
}

/// A transaction that cannot write cannot even begin as one that does, where the server is a replica.
fn explain_lock(code: &str) -> Option<(Kind, String)> {
    if code == "0A000" { explain("25006") } else { explain(code) }
}

/// What the refusals mean that users of this target meet.
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

/// The same where an admin acts on an account: what it lacks depends on the server's version, so all of it is named.
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
