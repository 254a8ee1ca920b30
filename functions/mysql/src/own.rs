//! The user sets its own password: `single-user`.

use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::settings::PasswordForm;

use crate::connect::Session;
use crate::dialect::Writer;
use crate::refusal;
use crate::statement;
use crate::stored::{self, Method};

/// MySQL asks for the current password (`PASSWORD REQUIRE CURRENT`).
pub(crate) const CURRENT_REQUIRED: u16 = 3892;

/// Sets the password of the account that the session is logged in as.
pub(crate) async fn set_password(job: &Job<'_>, session: &mut Writer, password: &Secret) -> Result<()> {
    if session.is_admin {
        return Err(Error::new(Kind::Bug, "single-user rotation in an admin's session"));
    }
    let doing = "set the user's own password";
    if session.server.is_mariadb() {
        let sql = mariadb(job, session, password).await?;
        session.run_secret(job, doing, &sql).await?;
    } else {
        match session.attempt_secret(job, doing, &mysql(password, None)).await? {
            Ok(()) => {}
            Err(answer) if answer.code == CURRENT_REQUIRED => {
                let sql = mysql(password, Some(&session.login.password));
                session.run_secret(job, doing, &sql).await?;
            }
            Err(answer) => return Err(refusal::of(&session.place, doing, &answer, refusal::statement)),
        }
    }
    // The next change has to show this one.
    session.login.password = password.share();
    Ok(())
}

/// MySQL masks the statement in its logs.
#[expect(
    clippy::disallowed_methods,
    reason = "exposes the passwords to the statement that changes one into the other"
)]
fn mysql(password: &Secret, current: Option<&Secret>) -> Secret {
    Secret::new(statement::change_password("USER()", password.expose(), current.map(Secret::expose), false))
}

/// MariaDB does not mask the password, so it gets the hash. Of several authentications `SET PASSWORD` changes only the first, and
/// the others would still accept the old passwords.
#[expect(
    clippy::disallowed_methods,
    reason = "exposes the hash, or the password where asked, to the statement that sets it"
)]
async fn mariadb(job: &Job<'_>, session: &mut Session, password: &Secret) -> Result<Secret> {
    let rows =
        session.run(job, "describe the user's account", statement::OWN_ACCOUNT, refusal::statement).await?;
    let methods = stored::methods(rows.first().and_then(|row| row.first()?.as_deref()).unwrap_or_default())?;
    let [Method { plugin, .. }] = methods.as_slice() else {
        let names: Vec<&str> = methods.iter().map(|method| method.plugin.as_str()).collect();
        let what =
            format!("the account {} has several authentications: {}", session.login.name, names.join(" or "));
        return Err(Error::new(Kind::ServerRefused, what)
            .remedy("leave it one (ALTER USER ... IDENTIFIED VIA), or use the strategy \"dual-password\" or \"admin\""));
    };
    if job.settings.form == PasswordForm::Plaintext {
        return Ok(Secret::new(statement::set_own_plaintext(password.expose())));
    }
    let hash = stored::known_hash(plugin, password)?;
    job.scrub.learn(&hash);
    Ok(Secret::new(statement::set_own_hash(hash.expose())))
}
