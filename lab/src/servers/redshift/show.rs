//! SHOW GRANTS and EXPLAIN (AWS, the pages of these names).

use super::cursor::Cursor;
use super::refusal::{Refusal, syntax};
use super::token::{Token, literal};

/// The most rows that SHOW GRANTS may be asked for.
const ROWS: u32 = 10_000;

/// SHOW GRANTS FOR a user. The stand-in has no other form of it.
pub(super) fn grants(cursor: &mut Cursor<'_>) -> Result<String, Refusal> {
    cursor.expect("for")?;
    if cursor.take("role") {
        return Err(syntax("the stand-in shows the grants of users"));
    }
    let who = literal(&cursor.name()?);
    let mut database = "current_database()".to_owned();
    if cursor.take("from") {
        cursor.expect("database")?;
        database = literal(&cursor.name()?);
    }
    let most = if cursor.take("limit") { limit(cursor)?.to_string() } else { "NULL".to_owned() };
    cursor.end()?;
    Ok(format!("SELECT * FROM standin.show_grants({who}, {database}, {most})"))
}

fn limit(cursor: &mut Cursor<'_>) -> Result<u32, Refusal> {
    let number = match cursor.next() {
        Some(Token::Sign(number)) => number.parse().ok(),
        _ => None,
    };
    number.filter(|number| *number <= ROWS).ok_or_else(|| syntax("a limit is a number from 0 to 10000"))
}

/// Refuses EXPLAIN of other statements than its page has, and other options than VERBOSE.
pub(super) fn explained(cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
    cursor.take("verbose");
    let is_explained = ["select", "with", "insert", "update", "delete", "create"];
    match cursor.peek() {
        Some(token) if is_explained.iter().any(|word| token.is(word)) => Ok(()),
        _ => Err(cursor.unexpected("EXPLAIN is for queries")),
    }
}
