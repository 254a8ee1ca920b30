//! A privilege as a value, and the statements that grant and revoke privileges.
//! (Amazon Redshift, "GRANT", "REVOKE", "ALTER DEFAULT PRIVILEGES", "ALTER GROUP".)

use std::collections::BTreeMap;

use rotation::database::difference;

use crate::statement::identifier;

/// The form of the statement that grants a privilege.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Frame {
    /// Membership of a group.
    Group,
    /// An RBAC role.
    Role,
    /// A privilege on tables, schemas and so on; the keyword before their names.
    On(&'static str),
    /// A privilege on columns of this table.
    Columns(String),
    /// A privilege on everything of a kind in a schema or database ("Scoped permissions").
    Scope,
    /// The right to use an IAM role in these commands.
    AssumeRole,
    /// A default privilege on objects that another user will create. The clause names that user and the schema; the object is
    /// TABLES and the like.
    DefaultsOf(String),
    /// A default privilege of others on objects that the user itself will create: the schema's clause, and TABLES and the like.
    /// The object is the user or group that gets it.
    OwnDefaults(String, &'static str),
}

/// A privilege on an object, both as statements spell them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    /// The form of its statement.
    pub(crate) frame: Frame,
    /// The object.
    pub(crate) object: String,
    /// Its name; empty for forms that have only one privilege.
    pub(crate) privilege: String,
}

/// How a privilege is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Whether it is held with the grant or admin option.
    pub(crate) option: bool,
    /// Whether the user holds it only by owning the object. Ownership itself cannot be copied; its privileges can.
    pub(crate) by_owning: bool,
}

impl difference::Terms for Terms {
    fn with_option(self) -> bool {
        self.option
    }
}

pub(crate) type Rights = BTreeMap<Right, Terms>;

/// The difference between the alternate's privileges and the original's.
pub(crate) type Difference = difference::Difference<Right, Terms>;

/// What a statement does to a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// Grants it.
    Grant,
    /// Grants it together with the right to grant it to others.
    GrantWithOption,
    /// Revokes it.
    Revoke,
    /// Revokes only the right to grant it to others.
    RevokeOption,
}

/// The most objects in one statement. A statement fails as a whole, and keeps its objects locked until it ends.
const OBJECTS: usize = 500;
/// The most statements in one query; see `queries`.
const STATEMENTS: usize = 100;
/// The most bytes in a statement or query. Redshift's limit is 16 MB ("SQL commands").
const BYTES: usize = 1 << 20;

/// The queries that do this to a user's privileges, as few as possible. Objects with the same privileges share a statement. Privileges
/// on columns need a statement for each table; these share queries, because each commit has to wait in the cluster's queue.
pub(crate) fn queries(rights: impl IntoIterator<Item = Right>, verb: Verb, user: &str) -> Vec<String> {
    let mut by_object: BTreeMap<(Frame, String), Vec<String>> = BTreeMap::new();
    for Right { frame, object, privilege } in rights {
        by_object.entry((frame, object)).or_default().push(privilege);
    }
    let mut alike: BTreeMap<(Frame, Vec<String>), Vec<String>> = BTreeMap::new();
    for ((frame, object), mut privileges) in by_object {
        privileges.sort_unstable();
        alike.entry((frame, privileges)).or_default().push(object);
    }
    let (mut queries, mut on_columns) = (Vec::new(), Vec::new());
    for ((frame, privileges), objects) in alike {
        let is_on_columns = matches!(frame, Frame::Columns(_));
        for objects in pieces(&objects, frame.most()) {
            let statement = frame.statement(&privileges, objects, verb, &identifier(user));
            if is_on_columns { on_columns.push(statement) } else { queries.push(statement) }
        }
    }
    queries.extend(pieces(&on_columns, STATEMENTS).iter().map(|statements| statements.join("; ")));
    queries
}

/// Splits texts into pieces of at most `most` texts and at most `BYTES` bytes. A single longer text is a piece of its own.
fn pieces(texts: &[String], most: usize) -> Vec<&[String]> {
    let mut pieces = Vec::new();
    let mut rest = texts;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(most).take_while(|text| {
            bytes += text.len() + 2;
            bytes <= BYTES
        });
        let (piece, later) = rest.split_at(fitting.count().max(1));
        pieces.push(piece);
        rest = later;
    }
    pieces
}

impl Frame {
    /// How many objects one statement may name.
    fn most(&self) -> usize {
        match self {
            Frame::On(_) | Frame::Columns(_) | Frame::Role => OBJECTS,
            Frame::Group
            | Frame::Scope
            | Frame::AssumeRole
            | Frame::DefaultsOf(_)
            | Frame::OwnDefaults(..) => 1,
        }
    }

    fn statement(&self, privileges: &[String], objects: &[String], verb: Verb, user: &str) -> String {
        let gives = matches!(verb, Verb::Grant | Verb::GrantWithOption);
        let (word, to) = if gives { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
        let kind = if *self == Frame::Role { "ADMIN" } else { "GRANT" };
        let only = if verb == Verb::RevokeOption { format!("{kind} OPTION FOR ") } else { String::new() };
        let option =
            if verb == Verb::GrantWithOption { format!(" WITH {kind} OPTION") } else { String::new() };
        let (what, on) = (privileges.join(", "), objects.join(", "));
        match self {
            Frame::Group if gives => format!("ALTER GROUP {on} ADD USER {user}"),
            Frame::Group => format!("ALTER GROUP {on} DROP USER {user}"),
            Frame::Role => format!("{word} {only}ROLE {} {to} {user}{option}", objects.join(", ROLE ")),
            Frame::On(keyword) => format!("{word} {only}{what} ON {keyword} {on} {to} {user}{option}"),
            Frame::Columns(table) => {
                let each: Vec<_> = privileges.iter().map(|privilege| format!("{privilege} ({on})")).collect();
                format!("{word} {only}{} ON TABLE {table} {to} {user}{option}", each.join(", "))
            }
            Frame::Scope => format!("{word} {only}{what} FOR {on} {to} {user}{option}"),
            Frame::AssumeRole => format!("{word} ASSUMEROLE ON {on} {to} {user} FOR {what}"),
            Frame::DefaultsOf(clause) => {
                format!("ALTER DEFAULT PRIVILEGES {clause} {word} {only}{what} ON {on} {to} {user}{option}")
            }
            Frame::OwnDefaults(schema, kind) => {
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR USER {user}{schema} {word} {only}{what} ON {kind} {to} {on}{option}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(frame: Frame, object: &str, privilege: &str) -> Right {
        Right { frame, object: object.to_owned(), privilege: privilege.to_owned() }
    }

    #[test]
    fn every_form_is_as_the_pages_have_it() {
        use Verb::{Grant, GrantWithOption, Revoke, RevokeOption};
        for (frame, object, privilege, verb, expected) in [
            (Frame::Group, "\"g\"", "", Grant, "ALTER GROUP \"g\" ADD USER \"u\""),
            (Frame::Group, "\"g\"", "", Revoke, "ALTER GROUP \"g\" DROP USER \"u\""),
            (Frame::Role, "\"r\"", "", GrantWithOption, "GRANT ROLE \"r\" TO \"u\" WITH ADMIN OPTION"),
            (Frame::Role, "\"r\"", "", RevokeOption, "REVOKE ADMIN OPTION FOR ROLE \"r\" FROM \"u\""),
            (
                Frame::On("TABLE"),
                "a.b",
                "SELECT",
                GrantWithOption,
                "GRANT SELECT ON TABLE a.b TO \"u\" WITH GRANT OPTION",
            ),
            (
                Frame::On("SCHEMA"),
                "s",
                "USAGE",
                RevokeOption,
                "REVOKE GRANT OPTION FOR USAGE ON SCHEMA s FROM \"u\"",
            ),
            (Frame::Columns("t".into()), "c", "UPDATE", Grant, "GRANT UPDATE (c) ON TABLE t TO \"u\""),
            (
                Frame::Scope,
                "TABLES IN SCHEMA s",
                "DROP",
                Revoke,
                "REVOKE DROP FOR TABLES IN SCHEMA s FROM \"u\"",
            ),
            (Frame::AssumeRole, "'arn'", "COPY", Grant, "GRANT ASSUMEROLE ON 'arn' TO \"u\" FOR COPY"),
            (
                Frame::DefaultsOf("FOR USER \"o\" IN SCHEMA s".into()),
                "TABLES",
                "SELECT",
                Revoke,
                "ALTER DEFAULT PRIVILEGES FOR USER \"o\" IN SCHEMA s REVOKE SELECT ON TABLES FROM \"u\"",
            ),
            (
                Frame::OwnDefaults(" IN SCHEMA s".into(), "TABLES"),
                "GROUP \"g\"",
                "SELECT",
                Grant,
                "ALTER DEFAULT PRIVILEGES FOR USER \"u\" IN SCHEMA s GRANT SELECT ON TABLES TO GROUP \"g\"",
            ),
        ] {
            assert_eq!(queries([right(frame, object, privilege)], verb, "u"), [expected]);
        }
    }

    #[test]
    fn similar_grants_share_a_statement_up_to_its_limits() {
        let table = |name: &str, privilege: &str| right(Frame::On("TABLE"), name, privilege);
        let mixed = [table("a", "SELECT"), table("b", "SELECT"), table("b", "INSERT"), table("c", "SELECT")];
        assert_eq!(
            queries(mixed, Verb::Grant, "u"),
            ["GRANT INSERT, SELECT ON TABLE b TO \"u\"", "GRANT SELECT ON TABLE a, c TO \"u\""]
        );
        let many = (0..1_201).map(|n| table(&format!("t{n}"), "SELECT"));
        assert_eq!(queries(many, Verb::Grant, "u").len(), 3);
        let columns = (0..250).map(|n| right(Frame::Columns(format!("t{n}")), "c", "SELECT"));
        assert_eq!(queries(columns, Verb::Grant, "u").len(), 3);
        let long = (0..20).map(|n| table(&format!("{n}{}", "x".repeat(200_000)), "SELECT"));
        let long = queries(long, Verb::Grant, "u");
        assert!(long.len() == 4 && long.iter().all(|sql| sql.len() < 2 * BYTES));
        assert_eq!(pieces(&["x".repeat(2 * BYTES)], 9).len(), 1);
    }
}
