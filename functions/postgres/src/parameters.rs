//! The settings with which each login of a role starts. In every database the alternate gets the original's.

use std::collections::BTreeMap;

use rotation::database::alternation::Equality;
use rotation::error::{Error, Kind, Result};

use crate::role::not_understood;
use crate::statement::{self, catalog};
use crate::turn::Turn;
use crate::writer::explain;

/// The values, by database (empty: all databases) and name.
type Parameters = BTreeMap<(String, String), String>;

/// Copies settings, and removes those that the original does not have. The setting `role` differs on purpose: if the original
/// acts as itself, the alternate acts as the original.
pub(crate) async fn equalize(turn: &Turn<'_>) -> Result<()> {
    let (original, alternate) = (turn.pair.original.as_str(), turn.pair.alternate.as_str());
    let sql = catalog::settings([original, alternate]);
    let rows = turn.writer.run(turn.job, "list settings", &sql, &explain).await?;
    let (mut wanted, mut has) = (Parameters::new(), Parameters::new());
    for row in rows {
        let [Some(user), Some(database), Some(name), Some(value)] =
            <[_; 4]>::try_from(row).map_err(|_| not_understood())?
        else {
            return Err(not_understood());
        };
        let of = if user == original { &mut wanted } else { &mut has };
        of.insert((database, name), value);
    }
    for ((_, name), value) in &mut wanted {
        if name == "role" && value == "none" {
            original.clone_into(value);
        }
    }
    wanted.entry((String::new(), "role".to_owned())).or_insert_with(|| original.to_owned());
    for ((database, name), value) in &wanted {
        if has.remove(&(database.clone(), name.clone())).as_ref() == Some(value) {
            continue;
        }
        copy(turn, &statement::set_for_role(alternate, database, name, value), name).await?;
    }
    if turn.pair.sync == Equality::Exact {
        for (database, name) in has.keys() {
            turn.take_away(&statement::reset_for_role(alternate, database, name)).await?;
        }
    }
    Ok(())
}

/// Copies one setting. A refusal stops the rotation, because sessions of the alternate get the setting in no other way.
async fn copy(turn: &Turn<'_>, sql: &str, name: &str) -> Result<()> {
    let Some(words) = turn.may("copy a setting", sql).await? else { return Ok(()) };
    let what = format!("the setting {name:?} of {:?} cannot be copied", turn.pair.original);
    Err(Error::new(Kind::ServerRefused, what).cause(words).remedy(format!(
        "let the admin set it (from PostgreSQL 15 on: GRANT SET ON PARAMETER {name} TO {}), or give it to the database instead of the role",
        statement::identifier(&turn.admin.username)
    )))
}
