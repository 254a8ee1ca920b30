//! Makes the alternate's privileges equal to the original's: the difference, the statements for it, and what cannot be copied.

use rotation::database::alternation::{Alternation, Equality};
use rotation::engine::job::Job;
use rotation::error::{Kind, Result};
use wire_postgres::connect::Session;

use crate::catalog::BothUsers;
use crate::connect::explain;
use crate::databases::{Place, Tour, in_each};
use crate::right::{Difference, Frame, Right, Rights, Terms, Verb, queries};
use crate::statement::identifier;

/// The statements that make two users equal in one place.
#[derive(Default)]
struct Statements {
    /// Revokes. They come first, because a privilege on columns and one on the whole table exclude each other.
    taken: Vec<String>,
    /// Grants that have to succeed.
    given: Vec<String>,
    /// Grants in place of ownership, which the server may refuse.
    stand_ins: Vec<String>,
}

/// The rights that the alternate should have: the original's, and default privileges that let the original use objects that the
/// alternate creates. Applications that create tables need these defaults, because on Redshift no session acts as another user.
fn wanted(seen: &BothUsers, pair: &Alternation) -> Rights {
    let mut wanted = seen.original.rights.clone();
    if seen.is_of_database {
        for (kind, privileges) in [
            ("TABLES", &["SELECT", "INSERT", "UPDATE", "DELETE", "DROP", "REFERENCES"][..]),
            ("FUNCTIONS", &["EXECUTE"]),
            ("PROCEDURES", &["EXECUTE"]),
        ] {
            for privilege in privileges {
                let frame = Frame::OwnDefaults(String::new(), kind);
                let right =
                    Right { frame, object: identifier(&pair.original), privilege: (*privilege).to_owned() };
                wanted.insert(right, Terms { option: false, by_owning: true });
            }
        }
    }
    wanted
}

/// The privileges that the alternate lacks in a place, as statements that would grant them.
pub(crate) fn lacking(seen: &BothUsers, pair: &Alternation) -> Vec<String> {
    let difference = Difference::between(&wanted(seen, pair), &seen.alternate.rights);
    let firm = difference.missing.into_iter().filter(|(_, terms)| !terms.by_owning);
    queries(firm.map(|(right, _)| right), Verb::Grant, &pair.alternate)
}

/// Makes the alternate equal to the original in all these places. A session is opened only where a statement is needed.
pub(crate) async fn everywhere(tour: &Tour<'_>, places: &[Place]) -> Result<()> {
    let mut unequal = Vec::new();
    for Place { database, seen } in places {
        report(seen);
        let statements = Statements::of(seen, tour.pair);
        match database {
            None => statements.run(tour.job, tour.session).await?,
            Some(database) if !statements.is_empty() => unequal.push(Unequal { database, statements }),
            Some(_) => {}
        }
    }
    let equal = in_each(&unequal, async |Unequal { database, statements }| {
        statements.run(tour.job, &tour.log_in(database).await?).await
    });
    equal.await.map(drop)
}

/// A database in which two users differ.
struct Unequal<'a> {
    database: &'a str,
    statements: Statements,
}

impl AsRef<str> for Unequal<'_> {
    fn as_ref(&self) -> &str {
        self.database
    }
}

impl Statements {
    fn of(seen: &BothUsers, pair: &Alternation) -> Statements {
        let mut difference = Difference::between(&wanted(seen, pair), &seen.alternate.rights);
        if pair.sync != Equality::Exact {
            difference = difference.additions();
        }
        let name = &pair.alternate;
        let given = |by_owning: bool| {
            let of = |verb, option: bool| {
                let missing = difference
                    .missing
                    .iter()
                    .filter(move |(_, terms)| terms.option == option && terms.by_owning == by_owning);
                queries(missing.map(|(right, _)| right.clone()), verb, name)
            };
            [of(Verb::Grant, false), of(Verb::GrantWithOption, true)].concat()
        };
        let (given, stand_ins) = (given(false), given(true));
        let mut taken = queries(difference.beyond.into_keys(), Verb::Revoke, name);
        taken.extend(queries(difference.options_beyond.into_keys(), Verb::RevokeOption, name));
        Statements { taken, given, stand_ins }
    }

    fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.given.is_empty() && self.stand_ins.is_empty()
    }

    async fn run(&self, job: &Job<'_>, session: &Session) -> Result<()> {
        for sql in &self.taken {
            tracing::warn!(
                statement = shortened(sql),
                "the alternate has this beyond the original; it is taken away"
            );
            may(job, session, "take away what the original does not have", sql).await?;
        }
        for sql in &self.given {
            session.run(job, "copy privileges", sql, &explain).await?;
        }
        for sql in &self.stand_ins {
            may(job, session, "copy what stands for ownership", sql).await?;
        }
        Ok(())
    }
}

/// Runs a statement that the server may refuse, and logs a refusal.
async fn may(job: &Job<'_>, session: &Session, doing: &str, sql: &str) -> Result<()> {
    match session.run(job, doing, sql, &explain).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Kind::ServerRefused => {
            tracing::warn!(
                statement = shortened(sql),
                reason = error.report(),
                "the server refused this statement; run it yourself"
            );
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Logs what cannot be copied.
fn report(seen: &BothUsers) {
    if !seen.original.owned.is_empty() {
        let (count, first) = (seen.original.owned.len() as u64, &seen.original.owned[0]);
        tracing::info!(
            count,
            first,
            "the original owns these; ownership cannot be copied, every privilege on them was"
        );
    }
    if !seen.alternate.owned.is_empty() {
        let (count, first) = (seen.alternate.owned.len() as u64, &seen.alternate.owned[0]);
        tracing::info!(
            count,
            first,
            "the alternate owns these; the original may use them by default privileges, and does not own them"
        );
    }
    for what in &seen.not_understood {
        tracing::warn!(what, "the original has this, and it cannot be copied");
    }
}

/// The beginning of a statement, for the log.
fn shortened(sql: &str) -> String {
    let short: String = sql.chars().take(300).collect();
    if short.len() < sql.len() { format!("{short}...") } else { short }
}
