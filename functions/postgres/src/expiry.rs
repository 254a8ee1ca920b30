//! Expired accounts. The server refuses every password of such an account with the words for a wrong password, so a client cannot tell
//! the two apart. An admin can read VALID UNTIL.

use rotation::database::account::Account;
use rotation::database::session::of_admin;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::dialect::{Admin, Postgres};
use crate::statement::{self, Limits, catalog};
use crate::writer::explain;

/// The error of an expired account, or else the refusal.
pub(crate) async fn look(
    dialect: &Postgres,
    job: &Job<'_>,
    account: &Account,
    admin: &Admin,
    words: String,
) -> Result<Login<Session>> {
    match since(dialect, job, account, admin).await {
        Ok(Some(until)) => Err(expired(&account.username, &until, words)),
        // Without an answer the refusal counts. An admin that does not log in is an error elsewhere.
        Ok(None) | Err(_) => Ok(Login::Rejected(words)),
    }
}

/// When the account expired, if it has.
async fn since(
    dialect: &Postgres,
    job: &Job<'_>,
    account: &Account,
    admin: &Admin,
) -> Result<Option<String>> {
    let session = of_admin(dialect, job, admin, None).await?;
    let sql = statement::reading(&catalog::expired(&account.username), Limits::of(&session, job));
    let rows = session.run(job, "say until when the account was valid", &sql, &explain).await?;
    Ok(rows.into_iter().flatten().flatten().next())
}

fn expired(user: &str, until: &str, words: String) -> Error {
    let what =
        format!("the account {user:?} was valid until {until}, so the server refuses every password of it");
    Error::new(Kind::ServerRefused, what).cause(words).remedy(format!(
        "extend it and rotate again: {}",
        statement::alter_role(user, "VALID UNTIL 'infinity'")
    ))
}
