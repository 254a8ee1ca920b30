//! Whether what a grant is about still exists. A grant on a table, a column or a routine outlives its object.
//!
//! The answer comes from the server's catalogue. Reading the object itself would run an application's code as the admin.

use rotation::engine::job::Job;
use rotation::error::Result;

use crate::connect::Session;
use crate::grants::Grant;
use crate::refusal;
use crate::statement::{identifiers, literal};

/// Whether the table, column or routine of a grant does not exist any more, or is a view that is broken.
pub(crate) async fn is_gone(job: &Job<'_>, admin: &mut Session, grant: &Grant) -> Result<bool> {
    let Some(sql) = question(grant, admin.server.is_mariadb()) else { return Ok(false) };
    let rows = admin.run(job, "look for what a grant is about", &sql, refusal::statement).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()) == Some("0"))
}

/// The question to the catalogue; `None` for grants that are not about one object.
fn question(grant: &Grant, mariadb: bool) -> Option<String> {
    let names = identifiers(&grant.object);
    let [schema, name] = names.as_slice() else { return None };
    let (schema, name) = (literal(schema), literal(name));
    let kind = grant.object.split('`').next().unwrap_or_default().trim();
    if !kind.is_empty() {
        return Some(format!(
            "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {schema} AND ROUTINE_NAME = {name} AND \
             ROUTINE_TYPE = {}",
            literal(kind)
        ));
    }
    let table = format!("TABLE_SCHEMA = {schema} AND TABLE_NAME = {name}");
    match identifiers(&grant.what).first() {
        None => Some(format!("SELECT COUNT(*) FROM information_schema.TABLES WHERE {table}")),
        Some(column) => Some(format!(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE {table} AND COLUMN_NAME = {}{}",
            literal(column),
            if mariadb { String::new() } else { unbroken(&table) }
        )),
    }
}

/// MySQL keeps the columns of a view whose tables are gone, and says so in the comment. MariaDB lists no columns then.
fn unbroken(table: &str) -> String {
    format!(
        " AND EXISTS (SELECT 1 FROM information_schema.TABLES WHERE {table} AND (TABLE_TYPE <> 'VIEW' OR TABLE_COMMENT = 'VIEW'))"
    )
}
