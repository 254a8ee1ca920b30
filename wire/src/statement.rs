//! The quoting that PostgreSQL and Redshift have in common, and the savepoint around a statement that the server may refuse.

/// A name in SQL, whatever characters the name contains (PostgreSQL manual, "Identifiers and Key Words").
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Puts statements between savepoints, so that their failure does no harm to the transaction around them.
pub(crate) fn guarded(sql: &str) -> String {
    format!("SAVEPOINT guarded; {sql}; RELEASE SAVEPOINT guarded")
}

/// Undoes guarded statements that the server refused.
pub(crate) const UNDO_GUARDED: &str = "ROLLBACK TO SAVEPOINT guarded; RELEASE SAVEPOINT guarded";

/// Undoes a transaction.
pub const ROLLBACK: &str = "ROLLBACK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_whatever_they_contain() {
        assert_eq!(identifier("App"), "\"App\"");
        assert_eq!(identifier("a\"b; --"), "\"a\"\"b; --\"");
        assert_eq!(identifier("ü%\\'"), "\"ü%\\'\"");
    }
}
