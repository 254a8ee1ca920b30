//! Objects that the alternate owns, and privileges granted to it by name. An alternate that this function made owns nothing,
//! because it acts as the original. A clone that AWS's function made owns what it created, and the original cannot use these
//! objects; so they are handed over.

use rotation::database::alternation::Equality;
use rotation::database::session::of_admin;
use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::statement::declared::PATIENCE;
use crate::statement::{self, Limits, catalog};
use crate::turn::Turn;
use crate::writer::{explain, explain_admin};
use crate::{handover, memberships};

/// The alternate's holdings in one database. The empty database stands for shared objects.
struct Holdings {
    database: String,
    is_here: bool,
    owned: u64,
    given: u64,
}

/// The original's turn, while clients use the alternate. The original becomes the owner of the alternate's objects, because
/// clients would lose them with the promotion. The alternate keeps its access through its membership.
pub(crate) async fn bring_home(turn: &Turn<'_>) -> Result<()> {
    if turn.roles.alternate.is_none() || turn.pair.sync == Equality::Untouched {
        return Ok(());
    }
    let held: Vec<_> = holdings(turn).await?.into_iter().filter(|held| held.owned > 0).collect();
    if held.is_empty() {
        return Ok(());
    }
    if turn.pair.sync == Equality::Given {
        return Err(left_behind(turn, held.iter().map(|held| held.owned).sum()));
    }
    memberships::must_inherit(turn, &turn.pair.alternate, turn.owner()).await?;
    for held in &held {
        beforehand(turn, held, false).await?;
    }
    if held.iter().any(|held| !held.is_elsewhere()) {
        hand_over(turn, turn.writer, "").await?;
    }
    Ok(())
}

/// The alternate's turn, first part: its holdings in other databases, and the objects in this one that clients may be using, in
/// transactions of their own. They come before the turn's own transaction has changed anything, because what that has locked they
/// could not wait for. Doing it twice does no harm.
pub(crate) async fn first(turn: &Turn<'_>) -> Result<()> {
    if turn.roles.alternate.is_none() {
        return Ok(());
    }
    for held in &holdings(turn).await? {
        beforehand(turn, held, true).await?;
    }
    Ok(())
}

async fn beforehand(turn: &Turn<'_>, held: &Holdings, take: bool) -> Result<()> {
    if held.is_elsewhere() {
        return visit(turn, held, take).await;
    }
    if held.is_here && held.owned > 0 {
        let beside = of_admin(turn.change.dialect, turn.job, turn.admin, None).await?;
        handover::piece_by_piece(turn, &beside, &held.database).await?;
    }
    Ok(())
}

/// The alternate's turn, second part: what is left in this database, in the turn's own transaction.
pub(crate) async fn here(turn: &Turn<'_>) -> Result<()> {
    if turn.roles.alternate.is_none() {
        return Ok(());
    }
    let held = holdings(turn).await?;
    let held: Vec<_> = held.iter().filter(|held| !held.is_elsewhere()).collect();
    if held.iter().any(|held| held.owned > 0) {
        hand_over(turn, turn.writer, "").await?;
    }
    if held.iter().any(|held| held.given > 0) {
        take_back(turn, turn.writer).await?;
    }
    Ok(())
}

impl Holdings {
    fn is_elsewhere(&self) -> bool {
        !self.is_here && !self.database.is_empty()
    }
}

async fn holdings(turn: &Turn<'_>) -> Result<Vec<Holdings>> {
    let sql = catalog::holdings(&turn.pair.alternate);
    let rows = turn.writer.run(turn.job, "list what the alternate owns", &sql, &explain).await?;
    let parse = |row: Vec<Option<String>>| {
        let [database, is_here, owned, given] = row.try_into().ok()?;
        Some(Holdings {
            database: database?,
            is_here: is_here.as_deref() == Some("t"),
            owned: owned?.parse().ok()?,
            given: given?.parse().ok()?,
        })
    };
    rows.into_iter().map(parse).collect::<Option<Vec<_>>>().ok_or_else(crate::role::not_understood)
}

/// Hands over and takes back in another database. If the admin cannot enter that database, objects that the alternate owns there
/// stop the rotation; privileges that it was granted there do not.
async fn visit(turn: &Turn<'_>, held: &Holdings, take: bool) -> Result<()> {
    let database = held.database.as_str();
    let session = match of_admin(turn.change.dialect, turn.job, turn.admin, Some(database)).await {
        Ok(session) => session,
        Err(error) if held.owned > 0 => return Err(by_hand(turn, database).cause(error.report())),
        Err(error) => {
            tracing::warn!(database, reason = error.report(), "what the alternate was given there stays");
            return Ok(());
        }
    };
    if held.owned > 0 {
        handover::piece_by_piece(turn, &session, database).await?;
    }
    let begin = statement::begin_beside(PATIENCE, Limits::of(&session, turn.job).at_most(PATIENCE));
    session.run(turn.job, "begin in another database", &begin, &explain).await?;
    if held.owned > 0 {
        hand_over(turn, &session, database).await?;
    }
    if held.given > 0 && take {
        take_back(turn, &session).await?;
    }
    session.run(turn.job, "end in another database", statement::COMMIT, &explain).await.map(drop)
}

/// Hands over the objects that the alternate still owns. To do that, the admin has to be a member of both roles. It grants itself a
/// missing membership for the time of the transaction.
async fn hand_over(turn: &Turn<'_>, session: &Session, database: &str) -> Result<()> {
    let (from, to) = (turn.pair.alternate.as_str(), turn.owner());
    tracing::info!(from, to, database, "objects change hands");
    let mut borrowed = Vec::new();
    for role in handover::not_a_member_of(turn, session, [from, to], |sql| sql).await? {
        let sql = statement::grant_membership(role, &turn.admin.username, turn.roles.version);
        if attempt(turn, session, &sql).await?.is_none() {
            borrowed.push(role);
        }
    }
    if let Some(words) = attempt(turn, session, &statement::reassign(from, to)).await? {
        return Err(by_hand(turn, database).cause(words));
    }
    for role in borrowed {
        let sql = statement::revoke_membership(role, &turn.admin.username, false, None);
        session.run(turn.job, "give back what the admin borrowed", &sql, &explain).await?;
    }
    Ok(())
}

/// How many objects one statement takes privileges on away. More would save nothing, and make the log lines longer.
const BATCH: usize = 250;

/// How many statements one turn sends. A transaction keeps a lock for each object, and the default lock table has room for 6,400.
const BATCHES: usize = 20;

/// Objects of one kind on which the alternate was granted privileges.
struct Given {
    kind: String,
    objects: Vec<String>,
}

/// Revokes privileges granted to the alternate by name; its membership gives it the original's. PostgreSQL only warns if the
/// admin may not revoke a privilege, so the function looks again for privileges that are left.
async fn take_back(turn: &Turn<'_>, session: &Session) -> Result<()> {
    let from = &turn.pair.alternate;
    let mut left = given(turn, session).await?;
    let is_all = left.len() <= BATCHES;
    left.truncate(BATCHES);
    for Given { kind, objects } in &left {
        let statement = statement::revoke(kind, objects, from);
        tracing::warn!(statement, "given to the alternate itself; it is taken away");
    }
    while let Some(Given { kind, mut objects }) = left.pop() {
        let refused = attempt(turn, session, &statement::revoke(&kind, &objects, from)).await?.is_some();
        if refused && objects.len() > 1 {
            // One of them is refused. The halves are tried, until it stands alone.
            let half = objects.split_off(objects.len() / 2);
            left.extend([half, objects].map(|objects| Given { kind: kind.clone(), objects }));
        }
    }
    if !is_all {
        tracing::warn!(
            "the alternate was given more than one turn can take away; its next turns go on with it"
        );
        return Ok(());
    }
    for Given { kind, objects } in given(turn, session).await? {
        let statement = statement::revoke(&kind, &objects, from);
        tracing::warn!(statement, "the admin may not take this away; run the statement yourself");
    }
    Ok(())
}

/// What the alternate was granted by name in this session's database, in batches.
async fn given(turn: &Turn<'_>, session: &Session) -> Result<Vec<Given>> {
    let sql = catalog::given(&turn.pair.alternate);
    let rows = session.run(turn.job, "list what the alternate was given", &sql, &explain).await?;
    let mut batches: Vec<Given> = Vec::new();
    for row in rows {
        let mut columns = row.into_iter().map(Option::unwrap_or_default);
        let (kind, object) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        match batches.last_mut() {
            Some(batch) if batch.kind == kind && batch.objects.len() < BATCH => batch.objects.push(object),
            _ => batches.push(Given { kind, objects: vec![object] }),
        }
    }
    Ok(batches)
}

async fn attempt(turn: &Turn<'_>, session: &Session, sql: &str) -> Result<Option<String>> {
    let explain = |code: &str| explain_admin(code, &turn.pair.alternate, &turn.admin.username);
    Ok(session.attempt(turn.job, "hand objects over", sql, &explain).await?.err())
}

/// Clients use the alternate and what it owns. After the promotion they use the original, which cannot.
fn left_behind(turn: &Turn<'_>, owned: u64) -> Error {
    let (from, to) = (&turn.pair.alternate, turn.owner());
    let objects = if owned == 1 { "an object".to_owned() } else { format!("{owned} objects") };
    let what =
        format!("{from:?}, which is in use, owns {objects} that {to:?} could not use after the promotion");
    Error::new(Kind::ServerRefused, what).remedy(format!(
        "run {} in each database, or put \"sync\": \"exact\" into the secret, and the rotation hands them over",
        statement::reassign(from, to)
    ))
}

fn by_hand(turn: &Turn<'_>, database: &str) -> Error {
    let (from, to) = (&turn.pair.alternate, turn.owner());
    let place = if database.is_empty() {
        turn.admin.dbname.as_deref().unwrap_or(crate::dialect::DBNAME)
    } else {
        database
    };
    let what =
        format!("{from:?} owns objects in the database {place:?} that the admin cannot hand to {to:?}");
    Error::new(Kind::ServerRefused, what).remedy(format!(
        "in the database {place:?}, as a superuser or a member of both roles, run: {}; then rotate again",
        statement::reassign(from, to)
    ))
}
