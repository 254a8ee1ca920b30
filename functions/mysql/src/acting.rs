//! Which account acts, and whether an account is the secret's own (docs/decisions/0003-guard.md).

use rotation::database::dialect::Change;
use rotation::database::guard::Guard;
use rotation::database::session::of_admin;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::document::missing;

use crate::account::{Account, Name};
use crate::connect::Session;
use crate::dialect::{Admin, Mysql, Writer};
use crate::profile::Profile;
use crate::subject::Subject;
use crate::{refusal, statement};

/// The accounts that are changed for a user, in that order. A list of host parts must include the one under which the function
/// itself logs in, because every later step judges by that account whether all are changed.
pub(crate) async fn names(job: &Job<'_>, writer: &mut Writer, account: &Account) -> Result<Vec<Name>> {
    let proven = proven(job, writer, account).await?;
    let names = account.names(&account.username, &proven);
    if names.iter().all(|name| name.host != proven.host) {
        let what = format!("\"hosts\" does not list {:?}, and the function logs in as {proven}", proven.host);
        return Err(Error::new(Kind::BadSecret, what).remedy("add it to \"hosts\", or leave \"hosts\" out"));
    }
    Ok(names)
}

/// The account that has proven to be the secret's. After a reset no account has, so there must be only one candidate.
pub(crate) async fn proven(job: &Job<'_>, writer: &mut Writer, account: &Account) -> Result<Name> {
    if !writer.is_admin {
        return Ok(writer.login.name.clone());
    }
    if let Some(proven) = &writer.proven {
        return Ok(proven.name.clone());
    }
    let user = &account.users()[0];
    let hosts = match &account.hosts {
        Some(hosts) => hosts.clone(),
        None => hosts(job, writer, user).await?,
    };
    match hosts.as_slice() {
        [host, ..] if account.hosts.is_some() || hosts.len() == 1 => Ok(Name::new(user, host)),
        _ => Err(Error::new(
            Kind::NotOurs,
            format!("the user {user:?} has {} host parts, and no login says which", hosts.len()),
        )
        .remedy("list those that belong to the secret under \"hosts\"")),
    }
}

async fn hosts(job: &Job<'_>, admin: &mut Session, user: &str) -> Result<Vec<String>> {
    let rows = admin
        .run(
            job,
            "list the user's host parts",
            &statement::hosts(user, admin.server.is_mariadb()),
            refusal::statement,
        )
        .await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Logs the user's other host parts, whose accounts stay as they are.
pub(crate) async fn log_other_hosts(job: &Job<'_>, writer: &mut Writer, names: &[Name]) -> Result<()> {
    let (true, Some(first)) = (writer.is_admin, names.first()) else { return Ok(()) };
    let mut others = hosts(job, writer, &first.user).await?;
    others.retain(|host| names.iter().all(|name| name.host != *host));
    if !others.is_empty() {
        let others = others.join(", ");
        tracing::info!(
            user = first.user,
            others,
            "the user has more host parts; list them under \"hosts\" to rotate them too"
        );
    }
    Ok(())
}

/// Refuses an account that is neither the proven one nor proven in another way to be the secret's.
pub(crate) async fn guard_if_other(
    change: &Change<'_, Mysql>,
    writer: &mut Writer,
    name: &Name,
) -> Result<()> {
    if [Some(&writer.login), writer.proven.as_ref()].iter().flatten().any(|proof| proof.name == *name) {
        return Ok(());
    }
    let admin = change.admin.ok_or_else(|| {
        missing("masterarn").cause(format!("the account {name} is not the one that logs in from here"))
    })?;
    let found = Profile::of(change.job, writer, name).await?;
    Guard::new(change, admin, writer).demand(&Subject::new(writer, name, &found)).await
}

/// Whether an account other than the proven one is known to have this password: by its mark, or by its stored hash.
pub(crate) async fn is_known_to_have(
    job: &Job<'_>,
    writer: &mut Writer,
    name: &Name,
    password: &Secret,
) -> Result<bool> {
    let found = Profile::read(job, writer, name).await?;
    let is_known =
        found.is_some_and(|found| found.is_marked(&writer.secret_arn, name) || found.stores(password));
    if !is_known {
        tracing::warn!(
            account = name.to_string(),
            "nothing shows that this account has the new password; it is left as it is"
        );
    }
    Ok(is_known)
}

/// How many more refused logins the account can bear before the server locks it; `None` without such a limit.
pub(crate) async fn bears(dialect: &Mysql, job: &Job<'_>, account: &Account, admin: &Admin) -> Option<u32> {
    let mut session = of_admin(dialect, job, admin, None).await.ok()?;
    let mut limits = Vec::new();
    if session.server.is_mariadb() {
        let doing = "tell after how many wrong logins it blocks a user";
        let rows = session.run(job, doing, statement::WRONG_LOGINS, refusal::statement).await.ok()?;
        let limit = rows.first().and_then(|row| row.first()?.as_deref()?.parse::<u32>().ok());
        // Each password is sent twice (`enter`), so half as many passwords reach the limit.
        limits.extend(limit.map(|limit| limit.saturating_sub(1) / 2 + 1));
    } else {
        for host in hosts(job, &mut session, &account.username).await.ok()? {
            let profile =
                Profile::read(job, &mut session, &Name::new(&account.username, &host)).await.ok()??;
            limits.extend(profile.bears);
        }
    }
    // One login has been refused already, and the one that reaches the limit must not be sent.
    limits.into_iter().min().map(|limit| limit.saturating_sub(2))
}
