//! How an admin sets an account's password.

use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::settings::PasswordForm;

use crate::account::Name;
use crate::connect::Session;
use crate::profile::Profile;
use crate::refusal::{self, BY_TOKEN, Explain, IAM};
use crate::statement::{self, identifier, literal};
use crate::stored::{self, Method};

/// Sets an account's password and leaves everything else as it is.
pub(crate) async fn set_password(
    job: &Job<'_>,
    admin: &mut Session,
    name: &Name,
    profile: &Profile,
    password: &Secret,
) -> Result<()> {
    let clause = authentication(job, admin.server.is_mariadb(), &profile.methods, password)?;
    alter(job, admin, name, &clause, refusal::statement).await
}

/// Runs `ALTER USER` with a clause that no log or error may show.
#[expect(clippy::disallowed_methods, reason = "exposes the clause to the statement that it is part of")]
pub(crate) async fn alter(
    job: &Job<'_>,
    admin: &mut Session,
    name: &Name,
    clause: &Secret,
    explain: Explain,
) -> Result<()> {
    let sql = Secret::new(statement::alter(name, clause.expose()));
    let doing = format!("set the password of {name}");
    let answer = admin.attempt_secret(job, &doing, &sql).await?;
    answer.map_err(|answer| refusal::of(&admin.place, &doing, &answer, explain))
}

/// The authentication clause that gives an account with these methods a new password. MySQL gets the password itself, and masks
/// it in its logs. On MariaDB every method with a password gets the new one, as a hash, and the other methods are kept.
#[expect(clippy::disallowed_methods, reason = "exposes the password or its hash to the clause that sets it")]
pub(crate) fn authentication(
    job: &Job<'_>,
    mariadb: bool,
    methods: &[Method],
    password: &Secret,
) -> Result<Secret> {
    if methods.iter().any(|method| method.plugin == IAM) {
        let what = "the account logs in with IAM tokens, and nothing was changed";
        return Err(Error::new(Kind::ServerRefused, what).remedy(BY_TOKEN));
    }
    if !mariadb {
        let plugin = methods.first().map_or("caching_sha2_password", |method| method.plugin.as_str());
        return Ok(Secret::new(format!(
            "IDENTIFIED WITH {} BY {}",
            literal(plugin),
            literal(password.expose())
        )));
    }
    let mut parts: Vec<String> = Vec::new();
    for method in methods {
        let part = if !method.has_password() {
            part(method)
        } else if job.settings.form == PasswordForm::Plaintext {
            format!("{} USING PASSWORD({})", identifier(&method.plugin), literal(password.expose()))
        } else {
            let hash = stored::known_hash(&method.plugin, password)?;
            job.scrub.learn(&hash);
            format!("{} USING {}", identifier(&method.plugin), literal(hash.expose()))
        };
        // Two methods with the same plugin become one.
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if !methods.iter().any(Method::has_password) {
        return Err(Error::new(Kind::ServerRefused, "the account has no password that could be changed")
            .remedy(
                "give it one: ALTER USER ... IDENTIFIED VIA mysql_native_password USING PASSWORD('...')",
            ));
    }
    Ok(Secret::new(format!("IDENTIFIED VIA {}", parts.join(" OR "))))
}

/// The clause for exactly these methods (MariaDB).
pub(crate) fn via(methods: &[Method]) -> Secret {
    Secret::new(format!("IDENTIFIED VIA {}", methods.iter().map(part).collect::<Vec<_>>().join(" OR ")))
}

fn part(method: &Method) -> String {
    let using = method.stored.as_deref().map(|stored| format!(" USING {}", literal(stored)));
    format!("{}{}", identifier(&method.plugin), using.unwrap_or_default())
}
