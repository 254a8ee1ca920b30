//! For the diagnose event: the privileges that the acting user lacks for the strategy, as statements to run. AWS's functions
//! notice a missing privilege only after they have stored a pending version.

use rotation::database::account::Account;
use rotation::database::session::of_admin;
use rotation::engine::finding::Finding;
use rotation::engine::job::Job;
use rotation::engine::target::Target;
use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::dialect::{Admin, Postgres};
use crate::extras;
use crate::statement::{self, Limits, catalog};
use crate::writer::explain;

/// The name in the report.
const CHECK: &str = "privileges";

/// Reports whether the user may change its own password, or whether its admin may do what the strategy needs.
pub(crate) async fn run(dialect: &Postgres, job: &Job<'_>, own: &Session, account: &Account) -> Vec<Finding> {
    match dialect.admin(job, account).await {
        Ok(admin) => {
            let privileges = privileges(dialect, job, own, account, admin.as_ref()).await;
            [Some(privileges), extras::examine(job, own, account).await].into_iter().flatten().collect()
        }
        // Another line of the report covers this error.
        Err(_) => Vec::new(),
    }
}

async fn privileges(
    dialect: &Postgres,
    job: &Job<'_>,
    own: &Session,
    account: &Account,
    admin: Option<&Admin>,
) -> Finding {
    let who = admin.map_or(&account.username, |admin| &admin.username);
    match lacking(dialect, job, own, account, admin).await {
        Ok(lacking) if lacking.is_empty() => {
            Finding::pass(CHECK, format!("{who:?} may do what the strategy needs"))
        }
        Ok(lacking) => {
            let what = format!("{who:?} may not do what the strategy {} needs", account.strategy.name());
            let remedy =
                format!("let a superuser, or the admin who made these roles, run: {}", lacking.join("; "));
            Finding::fail(CHECK, &Error::new(Kind::ServerRefused, what).remedy(remedy))
        }
        Err(error) => Finding::fail(CHECK, &error),
    }
}

async fn lacking(
    dialect: &Postgres,
    job: &Job<'_>,
    own: &Session,
    account: &Account,
    admin: Option<&Admin>,
) -> Result<Vec<String>> {
    let doing = "list privileges";
    let rows = match admin {
        None => {
            own.run(
                job,
                doing,
                &statement::reading(catalog::LACKS_FOR_PASSWORDS, Limits::of(own, job)),
                &explain,
            )
            .await?
        }
        Some(admin) => {
            let session = of_admin(dialect, job, admin, None).await?;
            let copied = account.alternation.as_ref().map(|pair| pair.original.as_str());
            let sql = statement::reading(
                &catalog::lacks_as_admin(&account.users(), copied),
                Limits::of(&session, job),
            );
            session.run(job, doing, &sql, &explain).await?
        }
    };
    Ok(rows.into_iter().flatten().flatten().collect())
}
