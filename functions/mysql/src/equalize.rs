//! Makes second users' grants equal to those of their originals, many host parts at once.

use std::collections::BTreeSet;

use rotation::database::alternation::Equality;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};

use crate::account::Name;
use crate::connect::Session;
use crate::grants::{self, Change, Difference, Grant, Grants, TOGETHER};
use crate::refusal;
use crate::statement;

/// How often the difference is read and settled. One change can cause another: for example, a grant option makes dynamic privileges
/// grantable. No case is known that needs more than this.
const ROUNDS: usize = 5;

/// How many statements are sent at once, and how long their text may be.
const BATCH: usize = 100;
const TEXT: usize = 256 << 10;

/// An original and the account that is to be equal to it.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    /// The account to copy from.
    pub original: &'a Name,
    /// The account that is made equal to the original.
    pub alternate: &'a Name,
    /// How far the secret lets the function change the alternate.
    pub sync: Equality,
}

/// The grants of a pair.
pub(crate) struct Compared {
    original: Grants,
    alternate: Grants,
    /// What separates them, as far as the secret lets the function change it.
    pub left: Difference,
}

/// Compares the grants of pairs, in the pairs' order.
pub(crate) async fn compare(job: &Job<'_>, admin: &mut Session, pairs: &[Pair<'_>]) -> Result<Vec<Compared>> {
    let names = Vec::from_iter(pairs.iter().flat_map(|pair| [pair.original, pair.alternate]));
    let mut grants = grants::read(job, admin, &names).await?.into_iter();
    let mut next = || grants.next().unwrap_or_default();
    let compared = pairs.iter().map(|pair| {
        let (original, alternate) = (next(), next());
        let difference = Difference::between(&original, &alternate);
        let left = match pair.sync {
            Equality::Exact => difference,
            Equality::Given => difference.additions(),
            Equality::Untouched => Difference::default(),
        };
        Compared { original, alternate, left }
    });
    Ok(compared.collect())
}

/// A pair that is not yet equal.
struct Open<'a> {
    pair: Pair<'a>,
    /// Grants of the original on objects that do not exist any more.
    gone: BTreeSet<Grant>,
}

/// Makes each alternate equal to its original.
pub(crate) async fn all(job: &Job<'_>, admin: &mut Session, pairs: &[Pair<'_>]) -> Result<()> {
    for (at, pairs) in pairs.chunks(TOGETHER / 2).enumerate() {
        let done = at * TOGETHER / 2;
        if done > 0 {
            tracing::info!(done, "accounts have the grants of their originals");
        }
        together(job, admin, pairs).await?;
    }
    Ok(())
}

async fn together(job: &Job<'_>, admin: &mut Session, pairs: &[Pair<'_>]) -> Result<()> {
    let mut unequal = Vec::from_iter(pairs.iter().map(|pair| Open { pair: *pair, gone: BTreeSet::new() }));
    for round in 0..=ROUNDS {
        let pairs = Vec::from_iter(unequal.iter().map(|open| open.pair));
        let mut left = Vec::new();
        for (mut open, compared) in unequal.into_iter().zip(compare(job, admin, &pairs).await?) {
            let (mut added, taken) = (grants::added(&compared.left), grants::taken(&compared.left));
            added.retain(|grant, _| !open.gone.contains(grant));
            if added.is_empty() && taken.is_empty() {
                continue;
            }
            if round == ROUNDS {
                return Err(stays_unequal(&open.pair, &compared.left));
            }
            if round == 0 && !taken.is_empty() {
                let (account, beyond) = (open.pair.alternate.to_string(), grants::words(&taken));
                tracing::warn!(account, beyond, "what the account has beyond the original is taken away");
            }
            settle(job, admin, &mut open, &compared, &added).await?;
            left.push(open);
        }
        if left.is_empty() {
            break;
        }
        unequal = left;
    }
    Ok(())
}

/// Gives what is missing and takes what is too much. The alternate gets all that it lacks before it loses anything.
async fn settle(
    job: &Job<'_>,
    admin: &mut Session,
    open: &mut Open<'_>,
    compared: &Compared,
    added: &Grants,
) -> Result<()> {
    let alternate = open.pair.alternate;
    take(job, admin, alternate, grants::take(&compared.left.options_beyond, alternate)).await?;
    give(job, admin, open, added).await?;
    take(job, admin, alternate, grants::take(&compared.left.beyond, alternate)).await?;
    default_roles(job, admin, &open.pair, compared, added).await
}

/// Groups statements into texts that are sent at once.
fn batches(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let mut batches: Vec<Vec<Change>> = Vec::new();
    let mut length = 0;
    for change in changes {
        length += change.sql.len();
        match batches.last_mut().filter(|batch| batch.len() < BATCH && length <= TEXT) {
            Some(batch) => batch.push(change),
            None => {
                length = change.sql.len();
                batches.push(vec![change]);
            }
        }
    }
    batches
}

fn text(batch: &[Change]) -> String {
    batch.iter().map(|change| change.sql.as_str()).collect::<Vec<_>>().join("; ")
}

async fn take(job: &Job<'_>, admin: &mut Session, name: &Name, changes: Vec<Change>) -> Result<()> {
    let doing = format!("change what {name} may do");
    for batch in batches(changes) {
        admin.run(job, &doing, &text(&batch), refusal::statement).await?;
    }
    Ok(())
}

/// Gives grants, in smaller and smaller parts where the server refuses one of them because its object does not exist any more.
async fn give(job: &Job<'_>, admin: &mut Session, open: &mut Open<'_>, added: &Grants) -> Result<()> {
    let Pair { original, alternate, .. } = open.pair;
    let doing = format!("give {alternate} what {original} may do");
    let mut left = batches(grants::give(added, alternate));
    let (all, mut done) = (left.len(), 0);
    left.reverse();
    while let Some(batch) = left.pop() {
        let answer = match admin.attempt(job, &doing, &text(&batch)).await? {
            Ok(_) if all > 1 => {
                done += batch.iter().map(|change| change.about.len()).sum::<usize>();
                tracing::info!(account = alternate.to_string(), done, of = added.len(), "grants are given");
                continue;
            }
            Ok(_) => continue,
            Err(answer) => answer,
        };
        if !statement::MISSING_OBJECT.contains(&answer.code) {
            return Err(refusal::of(&admin.place, &doing, &answer, refusal::statement));
        }
        match smaller(batch, added, alternate) {
            Ok(parts) => left.extend(parts),
            Err(grant) => {
                let words = grants::words(&Grants::from([(grant.clone(), false)]));
                tracing::warn!(grant = words, "the original has a grant on something that is gone");
                open.gone.insert(grant);
            }
        }
    }
    Ok(())
}

/// The parts of a batch, or the only grant that it is about.
fn smaller(mut batch: Vec<Change>, added: &Grants, to: &Name) -> Result<Vec<Vec<Change>>, Grant> {
    if batch.len() > 1 {
        let half = batch.split_off(batch.len() / 2);
        return Ok(vec![half, batch]);
    }
    let mut about = Vec::from_iter(batch.into_iter().flat_map(|change| change.about));
    match (about.pop(), about.is_empty()) {
        (Some(grant), true) => Err(grant),
        (last, _) => {
            let single = |grant: Grant| {
                let option = added.get(&grant).copied().unwrap_or(false);
                grants::give(&Grants::from([(grant, option)]), to)
            };
            Ok(about.into_iter().chain(last).map(single).collect())
        }
    }
}

/// Sets the default roles, all at once, if any of them differ.
async fn default_roles(
    job: &Job<'_>,
    admin: &mut Session,
    pair: &Pair<'_>,
    compared: &Compared,
    added: &Grants,
) -> Result<()> {
    let is_default = |grant: &&Grant| grant.kind == grants::Kind::DefaultRole;
    if added.keys().chain(compared.left.beyond.keys()).filter(is_default).count() == 0 {
        return Ok(());
    }
    let mut wanted = BTreeSet::from_iter(compared.original.keys().filter(is_default));
    if pair.sync == Equality::Given && !admin.server.is_mariadb() {
        wanted.extend(compared.alternate.keys().filter(is_default));
    }
    let roles = Vec::from_iter(wanted.iter().map(|grant| grant.what.as_str()));
    let sql = statement::default_roles(pair.alternate, &roles, admin.server.is_mariadb());
    let doing = format!("set the default roles of {}", pair.alternate);
    admin.run(job, &doing, &sql, refusal::statement).await.map(drop)
}

fn stays_unequal(pair: &Pair<'_>, left: &Difference) -> Error {
    let what = format!("{} cannot be made equal to {}", pair.alternate, pair.original);
    Error::new(Kind::ServerRefused, what)
        .cause(format!("it lacks: {}", grants::words(&grants::added(left))))
        .cause(format!("it has beyond: {}", grants::words(&grants::taken(left))))
        .remedy("the admin may hold restrictions of its own (partial revokes) that it passes on: let another admin act")
}
