//! The session that makes changes, the secret's own or an admin's: its transaction, its lock, and how it sets a password.

use std::time::Duration;

use aws_lc_rs::digest;
use rotation::database::account::Account;
use rotation::database::admin::Admin;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::target::Login;
use wire_postgres::connect::{self, Entrance, Session};
use wire_postgres::password::{self, StoredAs};

use crate::{DBNAME, statement};

/// How long a rotation waits for another one of the same secret. Shorter than the driver is waited for, so that the server's
/// answer is heard, which says what the wait was for.
const WAIT: Duration = Duration::from_secs(5);

/// After this long the server ends the session of a process that is gone without a word.
pub(crate) const IDLE: Duration = Duration::from_secs(20);

/// How long a transaction waits for something in use, such as a table. Everybody who wants the table later waits behind it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// A session, and what it has learned.
pub struct Writer {
    pub(crate) session: Session,
    /// The user that proved the secret by logging in, if an admin makes the changes.
    pub(crate) proven: Option<String>,
    /// The secret whose lock the session holds.
    pub(crate) secret_arn: String,
    /// How the server stores passwords; known once the lock is held.
    stored_as: StoredAs,
}

impl Writer {
    /// A session that the secret's own credential has opened.
    pub(crate) fn own(session: Session) -> Writer {
        Writer { session, proven: None, secret_arn: String::new(), stored_as: StoredAs::Scram }
    }

    /// The admin's session, in the secret's own database.
    pub(crate) async fn of_admin(job: &Job<'_>, admin: &Admin, proven: Option<Writer>) -> Result<Writer> {
        let session = admin_session(job, admin, admin.dbname.as_deref().unwrap_or(DBNAME)).await?;
        Ok(Writer { proven: proven.map(|proven| proven.session.user), ..Writer::own(session) })
    }

    /// Opens the transaction and takes the secret's lock.
    pub(crate) async fn lock(&mut self, job: &Job<'_>, secret_arn: &str) -> Result<()> {
        let sql = statement::begin_locked(lock_key(secret_arn), WAIT, PATIENCE, job.deadline.left(), IDLE);
        let rows = self.session.run(job, "take the lock of this secret", &sql, &explain_lock).await?;
        // The last row is the setting `password_encryption`. Its values "md5" and "on" (the older spelling) mean MD5, all others SCRAM.
        let setting = rows.last().and_then(|row| row.first()?.as_deref());
        self.stored_as = if matches!(setting, Some("md5" | "on")) { StoredAs::Md5 } else { StoredAs::Scram };
        self.secret_arn = secret_arn.to_owned();
        Ok(())
    }

    /// Fails if the session, and the lock with it, has been lost since it was taken.
    pub(crate) async fn still_holds(&self, job: &Job<'_>) -> Result<()> {
        self.session
            .run(job, "still hold the lock of this secret", statement::CHECK, &explain)
            .await
            .map(drop)
    }

    /// Gives an account its password with the transaction's last statement, which a function of `statement` makes.
    pub(crate) async fn set_password(
        &self,
        job: &Job<'_>,
        pending: &Account,
        statement: fn(&str, &str) -> String,
        explain: connect::Explain<'_>,
    ) -> Result<()> {
        let sql = |sent: &str| statement(&pending.username, sent);
        password::set(job, &self.session, pending, self.stored_as, sql, explain).await
    }
}

/// Logs the admin in, in one of the server's databases.
pub(crate) async fn admin_session(job: &Job<'_>, admin: &Admin, dbname: &str) -> Result<Session> {
    let entrance = Entrance {
        dialect: &connect::POSTGRES,
        server: &admin.server,
        username: &admin.username,
        password: &admin.password,
        dbname,
    };
    match connect::login(job, &entrance).await? {
        Login::Accepted(session) => Ok(session),
        Login::Rejected(words) => {
            let what = format!("the admin secret {} does not log in", admin.secret_name);
            Err(Error::new(Kind::CredentialRejected, what).cause(words).remedy(
                "if the admin's secret is being rotated this very moment, Secrets Manager's next try works; if not, correct it",
            ))
        }
    }
}

/// The advisory lock's number: from the ARN, so that every function that rotates this secret means the same lock.
fn lock_key(secret_arn: &str) -> i64 {
    let hash = digest::digest(&digest::SHA256, secret_arn.as_bytes());
    let (first, _) = hash.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
    i64::from_be_bytes(*first)
}

/// On a replica the server refuses to begin a transaction that writes, with another code.
fn explain_lock(code: &str) -> Option<(Kind, String)> {
    if code == "0A000" { explain("25006") } else { explain(code) }
}

/// What a refused statement means: whose fault it is, and what to do.
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

/// The same where an admin acts on an account. What the admin lacks depends on the server's version, so the remedy names it all.
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
