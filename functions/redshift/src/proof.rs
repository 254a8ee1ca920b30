//! testSecret asks the server itself whether the alternate may do what the original may: logged in as the alternate, it plans statements
//! that need the privileges (`need`). The comparison of the catalogue reads the same views as the copy, and cannot see what they do not
//! show. A refusal counts only if the server lets the original do the same.

use std::collections::BTreeMap;
use std::time::Duration;

use rotation::database::account::Account;
use rotation::database::dialect::{Dialect, Entrance};
use rotation::deadline::Deadline;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::connect::explain;
use crate::databases::{Place, within};
use crate::dialect::Redshift;
use crate::need::{self, Need};
use crate::statement;

/// The most privileges that one rotation proves. Of more it takes a sample, another one each time.
const MOST: usize = 200;
/// The statements in one message.
const TOGETHER: usize = 25;
/// The longest that all proofs may take.
const TIME: Duration = Duration::from_secs(5);
/// The refusals that the original is asked about.
const CHECKED: usize = 50;

/// The proofs of one testSecret.
pub(crate) struct Proof<'a> {
    pub(crate) dialect: &'a Redshift,
    pub(crate) job: &'a Job<'a>,
    /// The alternate's own session.
    pub(crate) session: &'a Session,
    pub(crate) original: &'a Account,
    pub(crate) alternate: &'a Account,
}

/// The server's answer to a statement.
enum Answer {
    Allowed,
    Refused,
    /// Neither: a lock that is held, a broken view. The server's words.
    Unclear(String),
}

/// How the proofs went.
#[derive(Default)]
struct Tally {
    proven: u64,
    /// What the server refuses to the original as well.
    refused_to_both: u64,
    /// Why the first privilege without an answer has none.
    unclear: Option<String>,
}

impl Proof<'_> {
    /// Proves what the original may do in these places.
    pub(crate) async fn of(&self, places: &[Place]) -> Result<()> {
        let all: Vec<(&str, Need)> = places.iter().flat_map(in_place).collect();
        let count = all.len() as u64;
        let mut by_database: BTreeMap<&str, Vec<Need>> = BTreeMap::new();
        for (database, need) in sample(all, self.job.token.as_str()) {
            by_database.entry(database).or_default().push(need);
        }
        let (mut tally, until) = (Tally::default(), Deadline::after(TIME.min(self.job.deadline.left() / 4)));
        for (database, needs) in by_database {
            self.in_database(database, &needs, until, &mut tally)
                .await
                .map_err(|error| within(database, error))?;
        }
        let Tally { proven, refused_to_both, unclear } = tally;
        tracing::info!(
            proven,
            of = count,
            refused_to_both,
            unclear,
            "asked the server for privileges, as the alternate"
        );
        Ok(())
    }

    async fn in_database(
        &self,
        database: &str,
        needs: &[Need],
        until: Deadline,
        tally: &mut Tally,
    ) -> Result<()> {
        let opened;
        let is_own = database == self.own_database();
        let session = if is_own {
            self.session
        } else {
            opened = match self.enter(self.alternate, database).await {
                Ok(session) => session,
                // CONNECTION LIMIT counts the session that testSecret has already.
                Err(error) if error.is_full() => {
                    tally.unclear.get_or_insert(error.report());
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            &opened
        };
        let statements = self.statements(session, needs).await?;
        let mut refused = Vec::new();
        for some in statements.chunks(TOGETHER) {
            for (sql, answer) in some.iter().zip(self.ask(session, some, until).await?) {
                match answer {
                    Answer::Allowed => tally.proven += 1,
                    Answer::Refused => refused.push(sql.clone()),
                    Answer::Unclear(words) => drop(tally.unclear.get_or_insert(words)),
                }
            }
        }
        tally.refused_to_both += refused.len() as u64;
        refused.truncate(CHECKED);
        if refused.is_empty() { Ok(()) } else { self.against_the_original(database, &refused).await }
    }

    /// Prepares a session, and makes the statements for these privileges.
    async fn statements(&self, session: &Session, needs: &[Need]) -> Result<Vec<String>> {
        session.run(self.job, "begin the proofs", statement::BEGIN_PROOFS, &explain).await?;
        let tables: Vec<&str> = needs.iter().filter_map(Need::lacks_a_column).collect();
        let mut first = BTreeMap::new();
        if !tables.is_empty() {
            let sql = need::first_columns(&tables);
            for row in session.run(self.job, "read the first columns", &sql, &explain).await? {
                if let [Some(table), Some(column)] = &row[..] {
                    first.insert(table.clone(), column.clone());
                }
            }
        }
        Ok(needs.iter().filter_map(|need| need.statement(&first)).collect())
    }

    /// Asks for statements, in one message if the server refuses none of them.
    async fn ask(&self, session: &Session, some: &[String], until: Deadline) -> Result<Vec<Answer>> {
        let late = || Answer::Unclear("the time for proofs was over".to_owned());
        if until.left().is_zero() {
            return Ok(some.iter().map(|_| late()).collect());
        }
        let together: Vec<String> = some.iter().map(|sql| rolled_back(sql)).collect();
        if let Answer::Allowed = self.ask_one(session, &together.join("; ")).await? {
            return Ok(some.iter().map(|_| Answer::Allowed).collect());
        }
        let mut answers = Vec::new();
        for sql in together {
            let is_late = until.left().is_zero();
            answers.push(if is_late { late() } else { self.ask_one(session, &sql).await? });
        }
        Ok(answers)
    }

    async fn ask_one(&self, session: &Session, sql: &str) -> Result<Answer> {
        let answer = session.transact(self.job, "plan a statement", sql, &explain).await?;
        Ok(match answer {
            Ok(()) => Answer::Allowed,
            Err(refusal) if refusal.code == "42501" => Answer::Refused,
            Err(refusal) => Answer::Unclear(refusal.words()),
        })
    }

    /// Fails if the server plans for the original what it has refused to the alternate.
    async fn against_the_original(&self, database: &str, refused: &[String]) -> Result<()> {
        let session = self.enter(self.original, database).await?;
        session.run(self.job, "begin the proofs", statement::BEGIN_PROOFS, &explain).await?;
        let mut lost = Vec::new();
        for sql in refused {
            if let Answer::Allowed = self.ask_one(&session, &rolled_back(sql)).await? {
                lost.push(sql.as_str());
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let (ours, theirs) = (&self.alternate.username, &self.original.username);
        let what = format!("the server refuses to {ours:?} what {theirs:?}, which is in use, may do");
        Err(Error::new(Kind::ServerRefused, what)
            .cause(format!("{} statements, although the views list the same privileges for both: {}", lost.len(), lost.join("; ")))
            .remedy("run the statements as both users to see why; grant the privilege to both users themselves, and rotate again"))
    }

    /// The database of the alternate's own session.
    fn own_database(&self) -> &str {
        self.alternate.dbname.as_deref().or(Redshift::FAMILY.database).unwrap_or_default()
    }

    async fn enter(&self, account: &Account, database: &str) -> Result<Session> {
        let Account { server, username, password, engine, .. } = account;
        let entrance = Entrance { server, username, password, dbname: Some(database), engine: Some(engine) };
        match self.dialect.enter(self.job, &entrance).await? {
            Login::Accepted(session) => Ok(session),
            Login::Rejected(words) => {
                let what =
                    format!("{username:?} logged in a moment ago, and does not log in to this database");
                Err(Error::new(Kind::CredentialRejected, what).cause(words))
            }
        }
    }
}

/// The privileges of a database. The cluster's own have no statement.
fn in_place(place: &Place) -> Vec<(&str, Need)> {
    let Some(database) = &place.database else { return Vec::new() };
    Need::all(place).into_iter().map(|need| (database.as_str(), need)).collect()
}

/// A statement in a transaction of its own, so that its locks last as long as it does.
fn rolled_back(sql: &str) -> String {
    format!("BEGIN; {sql}; {}", wire_postgres::statement::ROLLBACK)
}

/// At most `MOST` of these, evenly spread. The rotation's token decides where the sample begins.
fn sample<T>(all: Vec<T>, token: &str) -> Vec<T> {
    let step = all.len().div_ceil(MOST).max(1);
    let begin = token.bytes().map(usize::from).sum::<usize>() % step;
    all.into_iter().skip(begin).step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_privileges_a_sample_is_proven_and_another_one_next_time() {
        let all: Vec<u32> = (0..5_000).collect();
        let (one, other) = (sample(all.clone(), "a"), sample(all, "b"));
        assert!(one.len() == MOST && other.len() == MOST && one != other, "{one:?}, {other:?}");
        assert_eq!(sample((0..200).collect(), "a").len(), 200);
        assert!(sample((0..201).collect(), "a").len() > 90);
        assert!(sample(Vec::<u32>::new(), "a").is_empty());
    }
}
