//! The SQL texts that this target sends, and their quoting. `right` makes the statements that grant and revoke privileges; `catalog`
//! and `user` hold the queries.

pub(crate) use wire_postgres::statement::identifier;

/// The statement that testSecret runs if the secret names none.
pub(crate) const CHECK: &str = "SELECT now()";

/// Asks for the session's user.
pub(crate) const WHO: &str = "SELECT current_user";

/// The start of an admin's session. Without the first setting Redshift folds names in double quotes, so no grant reaches a table
/// whose name has capitals (Amazon Redshift, "enable_case_sensitive_identifier"). User names are never folded. With the second
/// setting a name means Redshift's own object, even if somebody has created another one under that name.
pub(crate) const BEGIN: &str = "SET enable_case_sensitive_identifier TO true; SET search_path TO pg_catalog";

/// The start of the alternate's proofs. The time is in milliseconds ("statement_timeout"): a statement that waits for a lock gives up.
pub(crate) const BEGIN_PROOFS: &str = "SET enable_case_sensitive_identifier TO true; SET search_path TO pg_catalog; SET statement_timeout TO 1000";

/// Asks whether the session's user is a superuser. Only superusers see all privileges and may grant them.
pub(crate) const IS_SUPERUSER: &str = "SELECT usesuper FROM pg_user WHERE usename = current_user";

/// A text in SQL. A backslash is an escape in every text, as in PostgreSQL 8.0, so it is doubled (Amazon Redshift, "QUOTE_LITERAL").
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

pub(crate) fn set_password(user: &str, password: &str) -> String {
    format!("ALTER USER {} PASSWORD {}", identifier(user), literal(password))
}

/// Sets a user's password, and the time at which it expires.
pub(crate) fn set_password_until(user: &str, password: &str, valid_until: &str) -> String {
    format!("{} VALID UNTIL {}", set_password(user, password), literal(valid_until))
}

/// Creates a user that nobody can log in as, with the mark on it.
pub(crate) fn create_marked(user: &str, mark: &str) -> String {
    format!("CREATE USER {} PASSWORD DISABLE IN GROUP {}", identifier(user), identifier(mark))
}

/// Creates the mark, which is a group. Only a superuser can ("CREATE GROUP").
pub(crate) fn create_mark(mark: &str) -> String {
    format!("CREATE GROUP {}", identifier(mark))
}

pub(crate) fn mark(user: &str, mark: &str) -> String {
    format!("ALTER GROUP {} ADD USER {}", identifier(mark), identifier(user))
}

pub(crate) fn alter_user(user: &str, option: &str) -> String {
    format!("ALTER USER {} {option}", identifier(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_8_0_reads_them() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "'a\\\\''b'");
        assert_eq!(set_password("a\"b", "md5x"), "ALTER USER \"a\"\"b\" PASSWORD 'md5x'");
    }
}
