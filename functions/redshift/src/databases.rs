//! Goes through the cluster's databases, several at a time. An error at one of them stops everything: a user that was promoted
//! without its privileges in one database is worse than a rotation that has to be repeated.

use std::cell::{Cell, RefCell};

use rotation::database::admin::Admin;
use rotation::database::alternation::Alternation;
use rotation::database::session::of_admin;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::catalog::{self, BothUsers};
use crate::dialect::Redshift;

/// The most databases at a time, with a session in each. The leader node answers catalogue queries alone, so more would only queue.
const AT_ONCE: usize = 4;

/// What two users hold in one place.
pub(crate) struct Place {
    /// The database; `None` for what belongs to the cluster.
    pub(crate) database: Option<String>,
    pub(crate) seen: BothUsers,
}

/// An admin who goes through the databases for a pair of users.
pub(crate) struct Tour<'a> {
    pub(crate) dialect: &'a Redshift,
    pub(crate) job: &'a Job<'a>,
    pub(crate) admin: &'a Admin,
    pub(crate) pair: &'a Alternation,
    /// A session of the admin, in any database.
    pub(crate) session: &'a Session,
}

impl Tour<'_> {
    /// Reads what both users hold, in the cluster and in every database.
    pub(crate) async fn read(&self) -> Result<Vec<Place>> {
        let users = [&*self.pair.original, &*self.pair.alternate];
        let databases = catalog::databases(self.job, self.session).await?;
        let seen = catalog::of_cluster(self.job, self.session, users, &databases).await?;
        let mut places = vec![Place { database: None, seen }];
        let read = in_each(&databases, async |database| {
            let Some(session) = self.enter(database).await? else { return Ok(None) };
            let seen = catalog::of_database(self.job, &session, users, database).await?;
            Ok(Some(Place { database: Some(database.clone()), seen }))
        });
        places.extend(read.await?.into_iter().flatten());
        Ok(places)
    }

    /// Logs the admin in to a database; `None` if the database was dropped since it was listed.
    async fn enter(&self, database: &String) -> Result<Option<Session>> {
        match self.log_in(database).await {
            Ok(session) => Ok(Some(session)),
            Err(error) if error.kind() == Kind::BadSecret && self.is_gone(database).await? => {
                tracing::warn!(database, reason = error.report(), "this database was dropped meanwhile");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Logs the admin in to a database, to copy or compare what two users hold there.
    pub(crate) async fn log_in(&self, database: &str) -> Result<Session> {
        of_admin(self.dialect, self.job, self.admin, Some(database))
            .await
            .map_err(|error| if error.kind() == Kind::ServerRefused { error.remedy(LET_IN) } else { error })
    }

    async fn is_gone(&self, database: &String) -> Result<bool> {
        Ok(!catalog::databases(self.job, self.session).await?.contains(database))
    }
}

const LET_IN: &str = "let the admin log in to this database, or drop the database; until then nobody can tell what the two users may do there";

/// Does this work in each database, in several at a time. The results have the order of the databases.
pub(crate) async fn in_each<'a, D: AsRef<str>, T>(
    databases: &'a [D],
    work: impl AsyncFn(&'a D) -> Result<T>,
) -> Result<Vec<T>> {
    const { assert!(AT_ONCE == 4, "one worker for each") };
    let (next, done) = (Cell::new(0), RefCell::new(Vec::new()));
    let worker = async || {
        while let Some(database) = databases.get(next.get()) {
            let at = next.replace(next.get() + 1);
            let result = work(database).await.map_err(|error| within(database.as_ref(), error))?;
            done.borrow_mut().push((at, result));
        }
        Ok::<_, Error>(())
    };
    tokio::try_join!(worker(), worker(), worker(), worker())?;
    let mut done = done.into_inner();
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// Names the database in which an error happened.
pub(crate) fn within(database: &str, error: Error) -> Error {
    error.cause(format!("in the database {database:?}, so nothing is promoted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn several_databases_are_open_at_a_time_and_no_more() {
        let databases: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let (open, most) = (Cell::new(0), Cell::new(0));
        let work = async |database: &String| {
            open.set(open.get() + 1);
            most.set(most.get().max(open.get()));
            // The first worker is the slowest, so the others overtake it.
            for _ in 0..if database == "0" { 50 } else { 3 } {
                tokio::task::yield_now().await;
            }
            open.set(open.get() - 1);
            Ok(database.clone())
        };
        assert_eq!(in_each(&databases, work).await.ok(), Some(databases.clone()));
        assert_eq!(most.get(), AT_ONCE);
    }

    #[tokio::test]
    async fn an_error_in_one_database_stops_the_others_and_names_it() {
        let databases: Vec<String> = (0..40).map(|n| format!("db{n}")).collect();
        let begun = Cell::new(0);
        let work = async |database: &String| {
            begun.set(begun.get() + 1);
            tokio::task::yield_now().await;
            if database == "db5" { Err(Error::new(Kind::Unreachable, "XX000")) } else { Ok(()) }
        };
        let error = in_each(&databases, work).await.expect_err("one fails");
        assert!(error.report().contains("XX000: in the database \"db5\""), "{}", error.report());
        assert!(begun.get() < 10, "{} were begun", begun.get());
    }
}
