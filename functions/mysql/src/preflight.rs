//! What a server says about itself before anything is changed: whether it is the writer, and how far its locks reach.

use rotation::database::session::of_admin;
use rotation::engine::finding::Finding;
use rotation::engine::job::Job;
use rotation::engine::target::Target;
use rotation::error::{Error, Kind, Result};

use crate::account::Account;
use crate::answer::Columns;
use crate::connect::Session;
use crate::dialect::{Mysql, Writer};
use crate::{refusal, statement};

/// The variables that keep a server from being the writer (MySQL and MariaDB manuals, "Server System Variables"). An admin may be
/// exempt from the first two: it would change a replica.
const READ_ONLY: [&str; 3] = ["read_only", "super_read_only", "innodb_read_only"];

/// A server's answer to `statement::STANDING`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The variable that makes the server read-only, if one does.
    read_only: Option<&'static str>,
    /// Why the server's locks keep nobody out who works on another node, if they do not.
    pub(crate) local_locks: Option<&'static str>,
}

impl Standing {
    /// Reads the rows: a variable's name and its value.
    pub(crate) fn read(rows: &[Columns]) -> Standing {
        let value = |name: &str| {
            let row = rows.iter().find(|row| row.first().and_then(Option::as_deref) == Some(name));
            row.and_then(|row| row.get(1)?.as_deref()).unwrap_or_default()
        };
        let is_off = |value: &str| ["", "0", "OFF", "NONE"].contains(&value.to_uppercase().as_str());
        let galera = !is_off(value("wsrep_on")) && !is_off(value("wsrep_provider"));
        let many_primaries = !value("group_replication_group_name").is_empty()
            && value("group_replication_single_primary_mode") == "OFF";
        Standing {
            read_only: READ_ONLY.into_iter().find(|name| !is_off(value(name))),
            local_locks: match (galera, many_primaries) {
                (true, _) => Some("it is a node of a Galera cluster"),
                (_, true) => Some("its replication group has many primaries"),
                _ => None,
            },
        }
    }

    /// Fails unless the server is the writer.
    pub(crate) fn demand_writer(&self, place: &str) -> Result<()> {
        let Some(variable) = self.read_only else { return Ok(()) };
        let what =
            format!("{place} is not the writer: {variable} is on, as on a replica; nothing was changed");
        Err(Error::new(Kind::ServerRefused, what).remedy(
            "put the writer's host into the secret, and into the admin's if one acts; if this is the writer, SET GLOBAL read_only = OFF",
        ))
    }
}

/// Logs it if the server replicates from another server, although it is not read-only. It may be a replica that somebody has opened.
pub(crate) async fn warn_of_replica(job: &Job<'_>, writer: &mut Writer) -> Result<()> {
    if writer.is_admin && replicates(job, writer).await? {
        let place = writer.place.as_str();
        tracing::warn!(place, "{REPLICATES}");
    }
    Ok(())
}

const REPLICATES: &str = "this server replicates from another one: if it is a replica, the password changes only here, and clients of \
                          its source are refused; then put the writer's host into the secret";

/// Whether the server replicates from another one. A server that does not let the session ask counts as no.
async fn replicates(job: &Job<'_>, session: &mut Session) -> Result<bool> {
    let sql = if session.server.is_mariadb() { statement::MARIADB_SOURCES } else { statement::MYSQL_SOURCES };
    let rows = session.attempt(job, "say whether it replicates from another server", sql).await?;
    let running = rows.ok().and_then(|rows| rows.into_iter().next()?.into_iter().next_back()?);
    Ok(running.is_some_and(|running| running != "0"))
}

/// Reports whether the host that a rotation changes is the writer, and what its locks are worth.
pub(crate) async fn examine(
    dialect: &Mysql,
    job: &Job<'_>,
    own: &mut Session,
    account: &Account,
) -> Vec<Finding> {
    match dialect.admin(job, account).await {
        Ok(None) => report(job, own).await,
        Ok(Some(admin)) => match of_admin(dialect, job, &admin, None).await {
            Ok(mut session) => report(job, &mut session).await,
            Err(_) => Vec::new(),
        },
        // Another line of the report covers this error.
        Err(_) => Vec::new(),
    }
}

async fn report(job: &Job<'_>, session: &mut Session) -> Vec<Finding> {
    let mut findings =
        vec![writer(job, session).await.unwrap_or_else(|error| Finding::fail("writer", &error))];
    let rows = session.run(job, "say what it is", statement::STANDING, refusal::statement).await;
    if let Some(why) = rows.ok().and_then(|rows| Standing::read(&rows).local_locks) {
        findings.push(Finding::skipped("lock", format!("{}: {why}, and {LOCAL}", session.place)));
    }
    findings
}

/// What a local lock is worth.
pub(crate) const LOCAL: &str = "a lock there keeps out only rotations on the same node; rotations on other nodes \
                                are stopped only by the second look at the labels";

async fn writer(job: &Job<'_>, session: &mut Session) -> Result<Finding> {
    let rows = session.run(job, "say what it is", statement::STANDING, refusal::statement).await?;
    Standing::read(&rows).demand_writer(&session.place)?;
    Ok(match replicates(job, session).await? {
        true => Finding::skipped("writer", format!("{}: {REPLICATES}", session.place)),
        false => Finding::pass("writer", format!("{} takes changes", session.place)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], read_only: Option<&str>, local: bool) {
        let row = |(name, value): &(&str, &str)| vec![Some((*name).to_owned()), Some((*value).to_owned())];
        let standing = Standing::read(&variables.iter().map(row).collect::<Vec<_>>());
        assert_eq!(standing.read_only, read_only, "{variables:?}");
        assert_eq!(standing.local_locks.is_some(), local, "{variables:?}");
        assert_eq!(standing.demand_writer("db:3306").is_ok(), read_only.is_none(), "{variables:?}");
    }

    #[test]
    fn only_a_server_that_takes_changes_is_the_writer() {
        check(&[], None, false);
        check(&[("read_only", "OFF"), ("super_read_only", "OFF"), ("innodb_read_only", "OFF")], None, false);
        check(&[("read_only", "ON"), ("super_read_only", "OFF")], Some("read_only"), false);
        check(&[("read_only", "0"), ("super_read_only", "1")], Some("super_read_only"), false);
        check(&[("innodb_read_only", "ON")], Some("innodb_read_only"), false);
        // MariaDB 12.
        check(&[("read_only", "NO_LOCK_NO_ADMIN")], Some("read_only"), false);
    }

    #[test]
    fn locks_are_local_on_clusters_with_more_than_one_writer() {
        check(&[("wsrep_on", "ON"), ("wsrep_provider", "/usr/lib/galera/libgalera_smm.so")], None, true);
        check(&[("wsrep_on", "ON"), ("wsrep_provider", "none")], None, false);
        check(&[("wsrep_on", "OFF"), ("wsrep_provider", "/usr/lib/libgalera_smm.so")], None, false);
        let group = ("group_replication_group_name", "aaaaaaaa-0000-4000-8000-000000000000");
        check(&[group, ("group_replication_single_primary_mode", "OFF")], None, true);
        check(&[group, ("group_replication_single_primary_mode", "ON")], None, false);
        check(
            &[("group_replication_group_name", ""), ("group_replication_single_primary_mode", "OFF")],
            None,
            false,
        );
    }
}
