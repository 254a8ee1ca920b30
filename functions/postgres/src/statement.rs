//! Every SQL text this target sends, and the quoting of what goes into it. What is read from the catalogs is in `catalog`.

use std::fmt::Display;
use std::time::Duration;

use wire_postgres::form::StoredAs;

pub mod catalog;

pub use wire_postgres::statement::identifier;

/// What testSecret runs where the secret names nothing.
pub const CHECK: &str = "SELECT now()";

/// Ends the transaction, and keeps it.
pub const COMMIT: &str = "COMMIT";

/// A text in SQL. The escape form is used where there is a backslash, because what a plain one means then depends on a
/// setting (PostgreSQL manual, "String Constants with C-Style Escapes").
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Opens a transaction in which names mean what PostgreSQL's own catalog says, and the session acts as who logged in. Whoever
/// owns a database decides on these settings for everyone who enters it, and an admin must not run that owner's functions:
/// so only utility statements, which look nothing up, come before them. Locks are waited for this long, and any statement
/// takes no longer than what is left.
fn begin(wait: Duration, left: Duration, idle: Duration) -> String {
    let [wait, left, idle] = [wait, left, idle].map(|limit| limit.as_millis());
    format!(
        "SET LOCAL search_path TO pg_catalog, pg_temp; SET LOCAL ROLE NONE; \
         SET LOCAL DateStyle TO ISO; SET LOCAL TimeZone TO 'UTC'; SET LOCAL standard_conforming_strings TO on; \
         SET LOCAL lock_timeout = {wait}; SET LOCAL statement_timeout = {left}; \
         SET LOCAL idle_in_transaction_session_timeout = {idle}; \
         SET LOCAL tcp_keepalives_idle = 5; SET LOCAL tcp_keepalives_interval = 2; SET LOCAL tcp_keepalives_count = 3"
    )
}

/// A transaction that changes things, even where the account or the database says that transactions only read.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE";

/// Opens the transaction that holds the lock until it ends. The transaction form of the lock survives poolers; the limits free it in seconds when this process is gone without a word. The lock is waited for
/// longer than anything after it, because what waits for a table holds up all who come later.
pub fn begin_locked(key: i64, wait: Duration, patience: Duration, left: Duration, idle: Duration) -> String {
    let (begin, patience) = (begin(wait, left, idle), patience.as_millis());
    format!("{BEGIN}; {begin}; SELECT pg_advisory_xact_lock({key}); SET LOCAL lock_timeout = {patience}")
}

/// Ends the transaction that holds the lock, and opens another that holds it. In between the session itself has the lock, so nobody
/// else gets it. A pooler gives the session to nobody else in the middle of one message.
pub fn commit_locked(key: i64, patience: Duration, left: Duration, idle: Duration) -> String {
    let begin = begin(patience, left, idle);
    format!(
        "SELECT pg_advisory_lock({key}); {COMMIT}; {BEGIN}; {begin}; SELECT pg_advisory_xact_lock({key}), pg_advisory_unlock({key})"
    )
}

/// Lets the server itself store passwords in this form, where it is told the password and not a hash of it.
pub fn stored_as(form: StoredAs) -> &'static str {
    match form {
        StoredAs::Md5 => "SET LOCAL password_encryption TO 'md5'",
        StoredAs::Scram => "SET LOCAL password_encryption TO 'scram-sha-256'",
    }
}

/// Opens an admin's transaction in another database, where no lock is needed.
pub fn begin_elsewhere(wait: Duration, idle: Duration) -> String {
    format!("{BEGIN}; {}", begin(wait, wait, idle))
}

/// Reads from the catalogs, where names mean what PostgreSQL's own say, in a session whose settings are not ours.
pub fn reading(sql: &str) -> String {
    format!("BEGIN; SET LOCAL search_path TO pg_catalog, pg_temp; {sql}; COMMIT")
}

/// Gives the account its new password.
pub fn set_password(user: &str, password: &str) -> String {
    format!("ALTER ROLE {} PASSWORD {}", identifier(user), literal(password))
}

/// The last statement about an alternate: from the commit on it can be used, and by then it is complete.
pub fn open_alternate(user: &str, password: &str) -> String {
    format!("ALTER ROLE {} LOGIN PASSWORD {}", identifier(user), literal(password))
}

/// Makes an account that nobody can log in as yet.
pub fn create_role(name: &str) -> String {
    format!("CREATE ROLE {} NOLOGIN", identifier(name))
}

/// Changes one property of an account.
pub fn alter_role(name: &str, property: impl Display) -> String {
    format!("ALTER ROLE {} {property}", identifier(name))
}

/// Makes one role a member of another that may act as it, without the right to pass that on.
pub fn grant_membership(role: &str, member: &str, version: u32) -> String {
    let options = if version >= 16 { " WITH INHERIT TRUE, SET TRUE" } else { "" };
    format!("GRANT {} TO {}{options}", identifier(role), identifier(member))
}

/// Takes a membership away, or only the right to pass it on.
pub fn revoke_membership(role: &str, member: &str, only_admin: bool, grantor: Option<&str>) -> String {
    let what = if only_admin { "ADMIN OPTION FOR " } else { "" };
    let by = grantor.map(|grantor| format!(" GRANTED BY {}", identifier(grantor))).unwrap_or_default();
    format!("REVOKE {what}{} FROM {}{by}", identifier(role), identifier(member))
}

/// What lets an admin act on a role from PostgreSQL 16 on.
pub fn grant_admin_option(role: &str, admin: &str) -> String {
    format!("GRANT {} TO {} WITH ADMIN OPTION", identifier(role), identifier(admin))
}

/// Gives a role a setting, in one database or everywhere.
pub fn set_for_role(role: &str, database: &str, name: &str, value: &str) -> String {
    let values: Vec<String> = match is_list(name) {
        true => listed(value).iter().map(|element| literal(element)).collect(),
        false => vec![literal(value)],
    };
    alter_role(role, format!("{}SET {} TO {}", within(database), parameter(name), values.join(", ")))
}

/// Takes a setting away again.
pub fn reset_for_role(role: &str, database: &str, name: &str) -> String {
    alter_role(role, format!("{}RESET {}", within(database), parameter(name)))
}

fn within(database: &str) -> String {
    if database.is_empty() { String::new() } else { format!("IN DATABASE {} ", identifier(database)) }
}

/// A setting's name; the parts of an extension's are separated by a dot.
fn parameter(name: &str) -> String {
    name.split('.').map(identifier).collect::<Vec<_>>().join(".")
}

/// The settings whose stored value is a list of quoted names, so that it has to be taken apart before it is set again (in the
/// server's source: GUC_LIST_QUOTE; extensions cannot define such).
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
