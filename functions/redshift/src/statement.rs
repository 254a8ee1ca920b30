//! The SQL texts this target sends, and the quoting of what goes into any. (What gives and takes privileges is put together in
//! `right`, the questions are in `catalog` and `user`.)

pub(crate) use wire_postgres::statement::identifier;

/// What testSecret runs where the secret names nothing.
pub(crate) const CHECK: &str = "SELECT now()";

/// Whom the server takes this session for.
pub(crate) const WHO: &str = "SELECT current_user";

/// How an admin's session begins. Without the first, names in double quotes are folded, and tables whose names have capitals
/// cannot be granted on (Amazon Redshift, "enable_case_sensitive_identifier"); user names are never folded. With the second,
/// what is asked for is Redshift's own, whatever anybody has made by the same name.
pub(crate) const BEGIN: &str = "SET enable_case_sensitive_identifier TO true; SET search_path TO pg_catalog";

/// Whether this session sees and may grant everything.
pub(crate) const IS_SUPERUSER: &str = "SELECT usesuper FROM pg_user WHERE usename = current_user";

/// A text in SQL. A backslash escapes in every text, as in PostgreSQL 8.0; it is doubled (Amazon Redshift, "QUOTE_LITERAL").
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Gives a user its password.
pub(crate) fn set_password(user: &str, password: &str) -> String {
    format!("ALTER USER {} PASSWORD {}", identifier(user), literal(password))
}

/// Gives a user its password for as long as the other's is valid.
pub(crate) fn set_password_until(user: &str, password: &str, valid_until: &str) -> String {
    format!("{} VALID UNTIL {}", set_password(user, password), literal(valid_until))
}

/// Makes a user that nobody can log in as, with the mark already on it.
pub(crate) fn create_marked(user: &str, mark: &str) -> String {
    format!("CREATE USER {} PASSWORD DISABLE IN GROUP {}", identifier(user), identifier(mark))
}

/// Makes the mark. Only a superuser can ("CREATE GROUP").
pub(crate) fn create_mark(mark: &str) -> String {
    format!("CREATE GROUP {}", identifier(mark))
}

/// Marks a user.
pub(crate) fn mark(user: &str, mark: &str) -> String {
    format!("ALTER GROUP {} ADD USER {}", identifier(mark), identifier(user))
}

/// Changes a user.
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
