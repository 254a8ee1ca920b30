//! How sessions are opened: the account's own, the admin's, and the one that makes changes.

use std::borrow::Borrow;

use super::account::Account;
use super::admin::Admin;
use super::dialect::{Dialect, Entrance};
use super::proxy;
use crate::engine::job::Job;
use crate::engine::target::Login;
use crate::error::{Error, Kind, Result};

/// One login with an account's password: on the server that the admin would change, or where the secret says. What is accepted on
/// the admin's server is noted for the guard.
pub async fn log_in<D: Dialect>(
    dialect: &D,
    job: &Job<'_>,
    account: &D::Account,
    on: Option<&Admin<D::Identity>>,
) -> Result<Login<D::Session>> {
    let account: &Account = account.borrow();
    let server = match on {
        Some(admin) => admin.server.clone(),
        None => proxy::behind::<D::Directory>(job, &account.server).await?,
    };
    let entrance = Entrance {
        server: &server,
        username: &account.username,
        password: &account.password,
        dbname: account.dbname.as_deref().or(D::FAMILY.database),
        engine: Some(&account.engine),
    };
    let login = proxy::named(dialect.enter(job, &entrance).await, &account.server, &server)?;
    if let Login::Accepted(session) = &login {
        dialect.early().remember(job, entrance.server);
        if let Some(admin) = on {
            admin.accepted.borrow_mut().push(dialect.identity(session));
        }
    }
    Ok(login)
}

/// The admin's session: in one of the server's databases, or in the secret's own.
pub async fn of_admin<D: Dialect>(
    dialect: &D,
    job: &Job<'_>,
    admin: &Admin<D::Identity>,
    dbname: Option<&str>,
) -> Result<D::Session> {
    let own = |default| admin.dbname.as_deref().unwrap_or(default);
    let entrance = Entrance {
        server: &admin.server,
        username: &admin.username,
        password: &admin.password,
        dbname: dbname.or(D::FAMILY.database.map(own)),
        engine: None,
    };
    match dialect.enter(job, &entrance).await? {
        Login::Accepted(mut session) => {
            dialect.begin_as_admin(job, &mut session).await?;
            Ok(session)
        }
        Login::Rejected(words) => {
            let what = format!("the admin secret {} does not log in", admin.secret_name);
            Err(Error::new(Kind::CredentialRejected, what).cause(words).remedy(
                "if the admin's secret is being rotated this very moment, Secrets Manager's next try works; if not, correct it",
            ))
        }
    }
}

/// The session that makes changes where there is an admin, and what the secret has proven, if it is the admin's.
pub(super) async fn of_writer<D: Dialect>(
    dialect: &D,
    job: &Job<'_>,
    account: &D::Account,
    admin: &Admin<D::Identity>,
    mut proven: Option<D::Session>,
) -> Result<(D::Session, bool, Option<D::Identity>)> {
    if let Some(mut own) = proven {
        if dialect.acts_itself(job, account, admin, &mut own).await? {
            return Ok((own, false, None));
        }
        proven = Some(own);
    }
    let session = of_admin(dialect, job, admin, None).await?;
    Ok((session, true, proven.map(|own| dialect.identity(&own))))
}
