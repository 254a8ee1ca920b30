//! Memberships: the alternate is a member of the original, and of no role that the original is not a member of.

use rotation::database::alternation::Equality;
use rotation::error::{Error, Kind, Result};

use crate::role::not_understood;
use crate::statement::{self, catalog};
use crate::turn::Turn;
use crate::writer::{explain, explain_admin};

/// One of the alternate's memberships.
struct Membership {
    role: String,
    admin: bool,
    /// The grantor. Only PostgreSQL 16 and newer keep several grantors apart.
    grantor: Option<String>,
    inherits: bool,
    may_act: bool,
    original_is_member: bool,
    original_is_admin: bool,
}

/// Makes the alternate a member of the original, and takes other memberships away.
pub(crate) async fn equalize(turn: &Turn<'_>) -> Result<()> {
    let (original, alternate) = (&turn.pair.original, &turn.pair.alternate);
    let sql = catalog::memberships(alternate, original);
    let rows = turn.writer.run(turn.job, "list memberships", &sql, &explain).await?;
    let held = rows.into_iter().map(membership).collect::<Option<Vec<_>>>().ok_or_else(not_understood)?;
    let of_original = || held.iter().filter(|held| held.role == *original);
    // From PostgreSQL 16 on, several grantors can grant the same membership, each with other options.
    if !(of_original().any(|held| held.inherits) && of_original().any(|held| held.may_act)) {
        grant(turn).await?;
    }
    if turn.pair.sync != Equality::Exact {
        return Ok(());
    }
    for held in &held {
        let beyond = !held.original_is_member;
        if beyond || (held.admin && !held.original_is_admin) {
            let grantor = held.grantor.as_deref();
            turn.take_away(&statement::revoke_membership(&held.role, alternate, !beyond, grantor)).await?;
        }
    }
    Ok(())
}

async fn grant(turn: &Turn<'_>) -> Result<()> {
    let (original, alternate) = (&turn.pair.original, &turn.pair.alternate);
    let sql = statement::grant_membership(original, alternate, turn.roles.version);
    let explain = |code: &str| match code {
        "0LP01" => Some((
            Kind::ServerRefused,
            format!(
                "{original:?} is itself a member of {alternate:?}, and two roles cannot be members of each other: \
                 run REVOKE {} FROM {}; what it had by that comes back when the alternate's objects are handed over",
                statement::identifier(alternate),
                statement::identifier(original)
            ),
        )),
        other => explain_admin(other, original, &turn.admin.username),
    };
    let doing = "make the alternate a member of the original";
    turn.writer.run(turn.job, doing, &sql, &explain).await.map(drop)
}

/// Refuses to hand over anything to a role that the original is set to act as but may not act as. Any account may set `role` for
/// itself, and a database's owner may set it for everybody, to any role. Only a role that the original may really act as is its
/// own.
pub(crate) async fn must_be_able_to_act(turn: &Turn<'_>) -> Result<()> {
    let (original, owner) = (&turn.pair.original, turn.owner());
    if original == owner || says_yes(turn, &catalog::may_act(original, owner)).await? {
        return Ok(());
    }
    let what = format!("sessions of {original:?} are set to act as {owner:?}, and it may not");
    Err(Error::new(Kind::NotOurs, what).remedy(format!(
        "take the setting \"role\" away ({}, and the same for the database), or, if it is meant, let an admin run {}",
        statement::reset_for_role(original, "", "role"),
        statement::grant_membership(owner, original, turn.roles.version)
    )))
}

/// Refuses a change of owner if the account in use would lose access by it.
pub(crate) async fn must_inherit(turn: &Turn<'_>, member: &str, role: &str) -> Result<()> {
    if says_yes(turn, &catalog::inherits(member, role)).await? {
        return Ok(());
    }
    let what = format!("{member:?}, which is in use, owns objects and does not inherit from {role:?}");
    Err(Error::new(Kind::ServerRefused, what).remedy(format!(
        "run {}; so that it keeps its objects when they are handed over, then rotate again",
        statement::grant_membership(role, member, turn.roles.version)
    )))
}

async fn says_yes(turn: &Turn<'_>, sql: &str) -> Result<bool> {
    let rows = turn.writer.run(turn.job, "compare two roles", sql, &explain).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()) == Some("t"))
}

fn membership(row: Vec<Option<String>>) -> Option<Membership> {
    let [role, admin, grantor, inherits, may_act, member, original_admin] = row.try_into().ok()?;
    let yes = |text: Option<String>| text.as_deref() == Some("t");
    Some(Membership {
        role: role?,
        admin: yes(admin),
        grantor,
        inherits: yes(inherits),
        may_act: yes(may_act),
        original_is_member: yes(member),
        original_is_admin: yes(original_admin),
    })
}
