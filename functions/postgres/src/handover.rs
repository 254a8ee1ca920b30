//! Tables, views, sequences and routines change owner while clients use them: a few in each transaction, and each for a moment under
//! its lock. `REASSIGN OWNED` alone keeps every lock until the end of its transaction, so clients wait, and it needs four locks a
//! table, for which a server's lock table has room some 6,400 times.

use std::time::Duration;

use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::statement::{self, Limits, catalog};
use crate::turn::Turn;
use crate::writer::{explain, explain_admin};

/// How many objects change hands in one transaction.
const BATCH: usize = 20;

/// How long a batch waits for the lock of one object. So its first lock is held for a second at most, and so long may a client wait.
const GLANCE: Duration = Duration::from_millis(50);

/// How long a single object is waited for. Clients that want the object later wait behind us.
const MOMENT: Duration = Duration::from_millis(900);

/// What the rest of the step needs of its time.
const REST: Duration = Duration::from_secs(8);

/// After so many objects a log line tells how far the work is.
const MILESTONE: usize = 500;

/// Hands over one database's objects. An object that is in use is tried again until the time is nearly over; then the step fails,
/// and its next try goes on with what is left. An object that the server does not let go this way is left for `REASSIGN OWNED`.
pub(crate) async fn piece_by_piece(turn: &Turn<'_>, session: &Session, database: &str) -> Result<()> {
    let (from, to) = (turn.pair.alternate.as_str(), turn.owner());
    // A query outside the turn's transaction, in one of its own.
    let moment = Limits::of(session, turn.job).at_most(MOMENT);
    let alone =
        |sql: String| format!("{}; {sql}; {}", statement::begin_beside(GLANCE, moment), statement::COMMIT);
    let sql = alone(catalog::transfers(from, to));
    let rows = session.run(turn.job, "list what the alternate owns", &sql, &explain).await?;
    let transfers: Vec<String> = rows.into_iter().flatten().flatten().collect();
    let work = Work { turn, session, lent: not_a_member_of(turn, session, [from, to], alone).await? };
    let mut left = Vec::new();
    for (done, batch) in transfers.chunks(BATCH).enumerate() {
        if done > 0 && (done * BATCH).is_multiple_of(MILESTONE) {
            tracing::info!(database, done = done * BATCH, of = transfers.len(), "objects change hands");
        }
        // Each try makes some progress, so even a function with little time gets through.
        if done > 0 && turn.job.deadline.left() < REST {
            return Err(not_all(&batch[0], database, transfers.len()));
        }
        if !matches!(work.transfer(batch, GLANCE).await?, Outcome::Done) {
            left.extend_from_slice(batch);
        }
    }
    let all = transfers.len();
    while !left.is_empty() {
        let mut busy = Vec::new();
        for transfer in left {
            if turn.job.deadline.left() < REST {
                return Err(not_all(&transfer, database, all));
            }
            if let Outcome::Busy = work.transfer(std::slice::from_ref(&transfer), MOMENT).await? {
                busy.push(transfer);
            }
        }
        left = busy;
    }
    Ok(())
}

/// What every piece of the work needs.
struct Work<'a> {
    turn: &'a Turn<'a>,
    session: &'a Session,
    /// The roles whose membership the admin lends itself for each transaction.
    lent: Vec<&'a str>,
}

enum Outcome {
    Done,
    /// Somebody uses one of the objects.
    Busy,
    /// The server does not let one of the objects go like this: `ALTER ... OWNER` wants rights that `REASSIGN OWNED` does not.
    Refused,
}

impl Work<'_> {
    /// Hands some objects over, in one transaction and one round trip.
    async fn transfer(&self, transfers: &[String], wait: Duration) -> Result<Outcome> {
        let (turn, admin) = (self.turn, &self.turn.admin.username);
        let moment = Limits::of(self.session, turn.job).at_most(MOMENT);
        let mut sql = vec![statement::begin_beside(wait, moment)];
        let lent = self.lent.iter().copied();
        sql.extend(lent.clone().map(|role| statement::grant_membership(role, admin, turn.roles.version)));
        sql.extend_from_slice(transfers);
        sql.extend(lent.map(|role| statement::revoke_membership(role, admin, false, None)));
        sql.push(statement::COMMIT.to_owned());
        let explain = |code: &str| explain_admin(code, &turn.pair.alternate, admin);
        let outcome = self.session.transact(turn.job, "hand objects over", &sql.join("; "), &explain).await?;
        Ok(match outcome {
            Ok(()) => Outcome::Done,
            // Lock not available, deadlock, statement timeout; and a clash of two changes of one row.
            Err(refusal) if ["55P03", "40P01", "57014", "XX000"].contains(&refusal.code.as_str()) => {
                Outcome::Busy
            }
            Err(_) => Outcome::Refused,
        })
    }
}

/// The roles that the admin is no member of, and so may not hand anything from or to. `around` puts the query into a transaction,
/// where none is open.
pub(crate) async fn not_a_member_of<'a>(
    turn: &Turn<'_>,
    session: &Session,
    roles: [&'a str; 2],
    around: impl Fn(String) -> String,
) -> Result<Vec<&'a str>> {
    let mut lacking = Vec::new();
    for role in roles {
        let sql = around(catalog::standing_to(role));
        let rows = session.run(turn.job, "compare two roles", &sql, &explain).await?;
        let yes = |column: usize| rows.first().and_then(|row| row.get(column)?.as_deref()) == Some("t");
        if !yes(0) && !yes(1) {
            lacking.push(role);
        }
    }
    Ok(lacking)
}

fn not_all(transfer: &str, database: &str, all: usize) -> Error {
    let what = format!(
        "not all of {all} objects in the database {database:?} could change hands in the time of this step"
    );
    Error::new(Kind::Conflict, what).cause(format!("the next one: {transfer}")).remedy(
        "the next try goes on with what is left; if the same object comes up again, end the long transaction that uses it \
         (pg_stat_activity, pg_locks)",
    )
}
