//! Whether what a grant is about still exists. A grant on a table, a column or a routine outlives its object.
//!
//! The answer comes from the server's catalogue. Reading the object itself would run an application's code as the admin.

use std::collections::BTreeSet;

use rotation::engine::job::Job;
use rotation::error::Result;

use crate::connect::Session;
use crate::grants::Grant;
use crate::refusal;
use crate::statement::{identifiers, literal};

/// How many questions are sent at once.
const BATCH: usize = 200;

/// The grants whose table, column or routine does not exist any more, or is a view that is broken.
pub(crate) async fn gone<'a>(
    job: &Job<'_>,
    admin: &mut Session,
    grants: impl Iterator<Item = &'a Grant>,
) -> Result<BTreeSet<Grant>> {
    let mariadb = admin.server.is_mariadb();
    let questions = grants.filter_map(|grant| Some((grant, question(grant, mariadb)?)));
    let mut gone = BTreeSet::new();
    for batch in questions.collect::<Vec<_>>().chunks(BATCH) {
        let sql = batch.iter().map(|(_, question)| question.as_str()).collect::<Vec<_>>().join("; ");
        let rows = admin.run(job, "look for what grants are about", &sql, refusal::statement).await?;
        let counts = rows.into_iter().map(|row| row.into_iter().next().flatten());
        let missing = batch.iter().zip(counts).filter(|(_, count)| count.as_deref() == Some("0"));
        gone.extend(missing.map(|((grant, _), _)| (*grant).clone()));
    }
    Ok(gone)
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
