//! Every SQL text that this target sends, and the quoting of the values in it. `catalog` has the queries of the catalogs.

use std::fmt::Display;
use std::time::Duration;

use wire_postgres::form::StoredAs;

pub mod catalog;
pub mod declared;

pub use declared::Limits;
pub use wire_postgres::statement::{ROLLBACK, identifier};

/// The statement that testSecret runs if the secret names none.
pub const CHECK: &str = "SELECT now()";

/// What a pool runs before it gives a session to the next client. The server runs it outside transactions only.
pub const DISCARD: &str = "DISCARD ALL";

/// The role that the session acts as. No name is looked up here, so a hostile search path does no harm.
pub const ACTING: &str = "SELECT CURRENT_USER";

/// Commits the transaction.
pub const COMMIT: &str = "COMMIT";

/// A text in SQL. A text with a backslash is written in the escape form, because its meaning in the plain form depends on a
/// setting (PostgreSQL manual, "String Constants with C-Style Escapes").
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Opens a transaction that may write, even if the account or the database defaults to read-only.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE";

/// Opens the transaction that holds the lock until it ends, and reads how often passwords are hashed (from PostgreSQL 16 on). This
/// form of the lock works through poolers. If this process disappears, the limits free the lock within seconds. Nothing later waits
/// as long as the lock does, because a statement that waits for a table blocks everyone behind it.
pub fn begin_locked(key: i64, wait: Duration, patience: Duration, limits: Limits) -> String {
    let (begin, patience) = (begin_beside(wait, limits), patience.as_millis());
    format!(
        "{begin}; SELECT pg_advisory_xact_lock({key}); SET LOCAL lock_timeout = {patience}; \
         SELECT current_setting('scram_iterations', true)"
    )
}

/// Ends the transaction that holds the lock, and opens another that holds it. In between the session itself has the lock, so nobody
/// else gets it. A pooler gives the session to nobody else in the middle of one message.
pub fn commit_locked(key: i64, patience: Duration, limits: Limits) -> String {
    let begin = begin_beside(patience, limits);
    format!(
        "SELECT pg_advisory_lock({key}); {COMMIT}; {begin}; SELECT pg_advisory_xact_lock({key}), pg_advisory_unlock({key})"
    )
}

/// Lets the server itself store passwords in this form, where it is told the password and not a hash of it.
pub fn stored_as(form: StoredAs) -> &'static str {
    match form {
        StoredAs::Md5 => "SET LOCAL password_encryption TO 'md5'",
        StoredAs::Scram => "SET LOCAL password_encryption TO 'scram-sha-256'",
    }
}

/// Opens a transaction that makes changes: an admin's that does not hold the secret's lock, in another database or for a piece of the
/// work, or one that is about to take the lock. It waits this long for the lock of an object. The session acts as the user that
/// logged in.
pub fn begin_beside(wait: Duration, limits: Limits) -> String {
    format!("{BEGIN}; {}; SET LOCAL ROLE NONE", declared::in_transaction(wait, limits))
}

/// Reads from the catalogs, in a session whose settings others choose.
pub fn reading(sql: &str, limits: Limits) -> String {
    let declared = declared::in_transaction(declared::PATIENCE, limits);
    format!("BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY; {declared}; {sql}; {COMMIT}")
}

/// Sets the account's password.
pub fn set_password(user: &str, password: &str) -> String {
    format!("ALTER ROLE {} PASSWORD {}", identifier(user), literal(password))
}

/// The last statement for an alternate. It is complete by then, and clients can log in from the commit on.
pub fn open_alternate(user: &str, password: &str) -> String {
    format!("ALTER ROLE {} LOGIN PASSWORD {}", identifier(user), literal(password))
}

/// Creates an account that cannot log in yet.
pub fn create_role(name: &str) -> String {
    format!("CREATE ROLE {} NOLOGIN", identifier(name))
}

/// Changes one property of an account.
pub fn alter_role(name: &str, property: impl Display) -> String {
    format!("ALTER ROLE {} {property}", identifier(name))
}

/// Makes a role a member of another, and lets it act as that role, but not pass the membership on.
pub fn grant_membership(role: &str, member: &str, version: u32) -> String {
    let options = if version >= 16 { " WITH INHERIT TRUE, SET TRUE" } else { "" };
    format!("GRANT {} TO {}{options}", identifier(role), identifier(member))
}

/// Revokes a membership, or only the right to pass it on.
pub fn revoke_membership(role: &str, member: &str, only_admin: bool, grantor: Option<&str>) -> String {
    let what = if only_admin { "ADMIN OPTION FOR " } else { "" };
    let by = grantor.map(|grantor| format!(" GRANTED BY {}", identifier(grantor))).unwrap_or_default();
    format!("REVOKE {what}{} FROM {}{by}", identifier(role), identifier(member))
}

/// The grant that lets an admin change a role, from PostgreSQL 16 on.
pub fn grant_admin_option(role: &str, admin: &str) -> String {
    format!("GRANT {} TO {} WITH ADMIN OPTION", identifier(role), identifier(admin))
}

/// Gives a role a setting, in one database or (empty name) in all.
pub fn set_for_role(role: &str, database: &str, name: &str, value: &str) -> String {
    let values: Vec<String> = match is_list(name) {
        true => listed(value).iter().map(|element| literal(element)).collect(),
        false => vec![literal(value)],
    };
    alter_role(role, format!("{}SET {} TO {}", within(database), parameter(name), values.join(", ")))
}

/// Removes a setting.
pub fn reset_for_role(role: &str, database: &str, name: &str) -> String {
    alter_role(role, format!("{}RESET {}", within(database), parameter(name)))
}

fn within(database: &str) -> String {
    if database.is_empty() { String::new() } else { format!("IN DATABASE {} ", identifier(database)) }
}

/// A setting's name. An extension's has parts, separated by a dot.
fn parameter(name: &str) -> String {
    name.split('.').map(identifier).collect::<Vec<_>>().join(".")
}

/// The settings whose stored value is a list of quoted names, which has to be taken apart before it is set again (in the server's
/// source: GUC_LIST_QUOTE; extensions cannot define such settings).
fn is_list(name: &str) -> bool {
    ["search_path", "local_preload_libraries", "session_preload_libraries", "temp_tablespaces"]
        .contains(&name)
}

/// The elements of such a list.
fn listed(value: &str) -> Vec<String> {
    let (mut elements, mut element, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = value.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' if quoted && rest.peek() == Some(&'"') => element.extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => elements.push(std::mem::take(&mut element)),
            ' ' if !quoted => {}
            other => element.push(other),
        }
    }
    elements.push(element);
    elements
}

/// Writes an account's comment.
pub fn comment_on_role(role: &str, comment: &str) -> String {
    format!("COMMENT ON ROLE {} IS {}", identifier(role), literal(comment))
}

/// Hands everything that one role owns in this database to another.
pub fn reassign(from: &str, to: &str) -> String {
    format!("REASSIGN OWNED BY {} TO {}", identifier(from), identifier(to))
}

/// Takes from a role all that it was granted by name on objects of one kind. There is no CASCADE, because this function must not end
/// what the account has granted to others.
pub fn revoke(kind: &str, objects: &[String], role: &str) -> String {
    format!("REVOKE ALL ON {kind} {} FROM {}", objects.join(", "), identifier(role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_whatever_they_contain() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
        assert_eq!(literal(""), "''");
    }

    #[test]
    fn settings_are_set_again_as_they_were() {
        #[track_caller]
        fn check(name: &str, value: &str, expected: &str) {
            assert_eq!(set_for_role("r", "", name, value), format!("ALTER ROLE \"r\" SET {expected}"));
        }
        check("work_mem", "64MB", "\"work_mem\" TO '64MB'");
        check("my.tenant", "it's", "\"my\".\"tenant\" TO 'it''s'");
        check("DateStyle", "ISO, MDY", "\"DateStyle\" TO 'ISO, MDY'");
        check("search_path", "\"$user\", public", "\"search_path\" TO '$user', 'public'");
        check("search_path", "\"\"", "\"search_path\" TO ''");
        check("search_path", "\"a\"\"b, c\", d", "\"search_path\" TO 'a\"b, c', 'd'");
        assert_eq!(
            reset_for_role("r", "d", "search_path"),
            "ALTER ROLE \"r\" IN DATABASE \"d\" RESET \"search_path\""
        );
    }
}
