//! Setting a password so that no log of the server ever shows it.

use postgres_protocol::password;
use rotation::database::account::Account;
use rotation::engine::job::Job;
use rotation::error::Result;
use rotation::secret::Secret;
use rotation::value::settings::PasswordForm;

use crate::connect::{Explain, Session};
use crate::form::StoredAs;
use crate::verifier;

/// Gives an account its password. `statement` makes the SQL from the password as it is sent.
pub async fn set(
    job: &Job<'_>,
    session: &Session,
    account: &Account,
    stored_as: StoredAs,
    iterations: u32,
    statement: impl FnOnce(&str) -> String,
    explain: Explain<'_>,
) -> Result<()> {
    let sent = sent(account, stored_as, iterations, job.settings.form);
    job.scrub.learn(&sent);
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes the password, hashed unless the deployment asks otherwise, to the statement that sets it"
    )]
    let sql = Secret::new(statement(sent.expose()));
    #[expect(clippy::disallowed_methods, reason = "exposes the statement to the driver, which sends it")]
    session.run(job, "set the new password", sql.expose(), explain).await.map(drop)
}

/// The password as the server would store it, or as it is where the deployment asks for that.
#[expect(
    clippy::disallowed_methods,
    reason = "exposes the password to be hashed, or as it is where the deployment asks for that"
)]
fn sent(account: &Account, stored_as: StoredAs, iterations: u32, form: PasswordForm) -> Secret {
    let password = account.password.expose();
    match (form, stored_as) {
        (PasswordForm::Plaintext, _) => account.password.share(),
        (PasswordForm::Hashed, StoredAs::Md5) => {
            Secret::new(password::md5(password.as_bytes(), &account.username))
        }
        (PasswordForm::Hashed, StoredAs::Scram) => Secret::new(verifier::scram(password, iterations)),
    }
}
