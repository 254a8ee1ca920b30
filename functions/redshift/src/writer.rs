//! Passwords, as they are sent.

use postgres_protocol::password;
use rotation::database::account::Account;
use rotation::error::Result;
use rotation::job::Job;
use rotation::secret::Secret;
use rotation::settings::PasswordForm;

use crate::connect::explain;
use crate::{Writer, statement};

/// Gives a user its password.
pub(crate) async fn set_password(
    job: &Job<'_>,
    writer: &Writer,
    pending: &Account,
    valid_until: Option<&str>,
) -> Result<()> {
    let form = sent_form(&pending.password, &pending.username, job.settings.form);
    job.scrub.learn(&form);
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes the password, hashed unless the deployment asks otherwise, to the statement that sets it"
    )]
    let sql = Secret::new(match valid_until {
        Some(until) => statement::set_password_until(&pending.username, form.expose(), until),
        None => statement::set_password(&pending.username, form.expose()),
    });
    #[expect(clippy::disallowed_methods, reason = "exposes the statement to the driver, which sends it")]
    writer.run(job, "set the new password", sql.expose(), &explain).await.map(drop)
}

/// The password as it is sent: as Redshift stores it ("CREATE USER", MD5), or as it is. Never as `sha256|...`: whoever has
/// such a password is asked for it by a message that most clients do not speak.
#[expect(
    clippy::disallowed_methods,
    reason = "exposes the password to be hashed, or as it is where the deployment asks for that"
)]
fn sent_form(password: &Secret, username: &str, form: PasswordForm) -> Secret {
    match form {
        PasswordForm::Plaintext => password.share(),
        PasswordForm::Hashed => Secret::new(password::md5(password.expose().as_bytes(), username)),
    }
}
