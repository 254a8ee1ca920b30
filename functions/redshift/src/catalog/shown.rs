//! What only SHOW GRANTS lists: ALTER and TRUNCATE on tables, and DROP on schemas. The pages of the views do not have these
//! ("SVV_RELATION_PRIVILEGES", "SVV_SCHEMA_PRIVILEGES"). SHOW GRANTS tells no grant option for a user.

use std::cell::Cell;

use rotation::engine::job::Job;
use rotation::error::Result;
use wire_postgres::connect::Session;

use super::row::Row;
use crate::connect::explain;
use crate::right::{Frame, Right};
use crate::statement::identifier;

/// The most rows that SHOW GRANTS gives. It has no order and no second page.
const ROWS: usize = 10_000;

/// What SHOW GRANTS lists for these users, and no view does; `None` if it cannot list all of it. Half a list is worse than none,
/// because what it lacks would be revoked.
pub(super) async fn read(
    job: &Job<'_>,
    session: &Session,
    users: [&str; 2],
    database: &str,
) -> Result<Option<[Vec<Right>; 2]>> {
    let Some(original) = of_user(job, session, users[0], database).await? else { return Ok(None) };
    let alternate = of_user(job, session, users[1], database).await?;
    Ok(alternate.map(|alternate| [original, alternate]))
}

async fn of_user(job: &Job<'_>, session: &Session, user: &str, database: &str) -> Result<Option<Vec<Right>>> {
    let (who, place) = (identifier(user), identifier(database));
    let sql = format!("SHOW GRANTS FOR {who} FROM DATABASE {place} LIMIT {ROWS}");
    let is_unknown = Cell::new(false);
    let explain = |code: &str| {
        is_unknown.set(["42601", "0A000"].contains(&code));
        explain(code)
    };
    let why = match session.run(job, "show a user's grants", &sql, &explain).await {
        Ok(rows) if rows.len() < ROWS => return Ok(Some(rows.into_iter().filter_map(understand).collect())),
        Ok(_) => "the user has 10,000 grants in this database, or more".to_owned(),
        Err(error) if is_unknown.get() => error.report(),
        Err(error) => return Err(error),
    };
    tracing::warn!(
        user,
        database,
        why,
        "SHOW GRANTS does not list all grants: ALTER and TRUNCATE on tables and DROP on schemas are neither copied nor compared here"
    );
    Ok(None)
}

/// The privilege in a row, if no view lists it. Columns: database, schema, object, its type, privilege, id, name and type of the
/// identity, scope, grantor.
fn understand(columns: Vec<Option<String>>) -> Option<Right> {
    let row = Row::new(columns);
    let privilege = row.keyword(4)?;
    let (frame, object) = match (row.text(3), row.text(8), &*privilege) {
        ("SCHEMA", "SCHEMA", "DROP") => (Frame::On("SCHEMA"), identifier(row.text(1))),
        (_, "TABLE" | "VIEW", "ALTER" | "TRUNCATE") => (Frame::On("TABLE"), row.path(1)),
        _ => return None,
    };
    Some(Right { frame, object, privilege })
}
