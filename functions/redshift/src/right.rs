//! A privilege as a value, what two users' privileges differ in, and the statements that give and take the difference.
//! (Amazon Redshift, "GRANT", "REVOKE", "ALTER DEFAULT PRIVILEGES", "ALTER GROUP".)

use std::collections::BTreeMap;

use crate::statement::identifier;

/// The form of statement that gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Frame {
    /// Membership of a group.
    Group,
    /// An RBAC role.
    Role,
    /// Something on tables, schemas and so on; the keyword before their names.
    On(&'static str),
    /// Something on columns of this table.
    Columns(String),
    /// Something on everything of a kind in a schema or database ("Scoped permissions").
    Scope,
    /// The use of an IAM role by these commands.
    AssumeRole,
    /// Something on what a user will make; the clause that names it, and the schema. The object is TABLES and the like.
    DefaultsOf(String),
    /// What the user itself lets others have of what it will make; the schema's clause, and TABLES and the like. The object
    /// is who gets it.
    OwnDefaults(String, &'static str),
}

/// A privilege on an object, both as statements spell them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    /// How it is given.
    pub(crate) frame: Frame,
    /// On what.
    pub(crate) object: String,
    /// Which; empty where there is only one.
    pub(crate) privilege: String,
}

/// How a privilege is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// With grant or admin option.
    pub(crate) option: bool,
    /// Only because the user owns the object: what stands for ownership, as far as a privilege can.
    pub(crate) by_owning: bool,
}

/// All privileges of a user.
pub(crate) type Rights = BTreeMap<Right, Terms>;

/// What has to be done to make one user's privileges another's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// To be given.
    pub(crate) missing: Vec<(Right, Terms)>,
    /// To be taken.
    pub(crate) beyond: Vec<Right>,
    /// To be kept, without the option.
    pub(crate) options_beyond: Vec<Right>,
}

impl Difference {
    /// Between what a user should have and what it has.
    pub(crate) fn between(wanted: &Rights, held: &Rights) -> Difference {
        let mut difference = Difference::default();
        for (right, terms) in wanted {
            if held.get(right).is_none_or(|held| terms.option && !held.option) {
                difference.missing.push((right.clone(), *terms));
            }
        }
        for (right, held) in held {
            match wanted.get(right) {
                None => difference.beyond.push(right.clone()),
                Some(wanted) if held.option && !wanted.option => {
                    difference.options_beyond.push(right.clone())
                }
                Some(_) => {}
            }
        }
        difference
    }
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// Gives.
    Give,
    /// Gives with the option to give it on.
    GiveWithOption,
    /// Takes.
    Take,
    /// Takes the option only.
    TakeOption,
}

/// The most objects of one statement: it fails as a whole, and holds what it touches until it is through.
const OBJECTS: usize = 500;
/// The most statements of one query; see `queries`.
const STATEMENTS: usize = 100;
/// The most bytes of either. Redshift's limit is 16 MB ("SQL commands").
const BYTES: usize = 1 << 20;

/// The queries that do this to a user, as few as they can be. Objects with the same privileges share a statement. Privileges
/// on columns need one for each table; these share queries, because each commit has to wait its turn in the cluster.
pub(crate) fn queries(rights: impl IntoIterator<Item = Right>, deed: Deed, user: &str) -> Vec<String> {
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
            let statement = frame.statement(&privileges, objects, deed, &identifier(user));
            if is_on_columns { on_columns.push(statement) } else { queries.push(statement) }
        }
    }
    queries.extend(pieces(&on_columns, STATEMENTS).iter().map(|statements| statements.join("; ")));
    queries
}

/// Texts in pieces of so many, and of `BYTES` unless a single one has more.
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

    fn statement(&self, privileges: &[String], objects: &[String], deed: Deed, user: &str) -> String {
        let gives = matches!(deed, Deed::Give | Deed::GiveWithOption);
        let (verb, to) = if gives { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
        let kind = if *self == Frame::Role { "ADMIN" } else { "GRANT" };
        let only = if deed == Deed::TakeOption { format!("{kind} OPTION FOR ") } else { String::new() };
        let option =
            if deed == Deed::GiveWithOption { format!(" WITH {kind} OPTION") } else { String::new() };
        let (what, on) = (privileges.join(", "), objects.join(", "));
        match self {
            Frame::Group if gives => format!("ALTER GROUP {on} ADD USER {user}"),
            Frame::Group => format!("ALTER GROUP {on} DROP USER {user}"),
            Frame::Role => format!("{verb} {only}ROLE {} {to} {user}{option}", objects.join(", ROLE ")),
            Frame::On(keyword) => format!("{verb} {only}{what} ON {keyword} {on} {to} {user}{option}"),
            Frame::Columns(table) => {
                let each: Vec<_> = privileges.iter().map(|privilege| format!("{privilege} ({on})")).collect();
                format!("{verb} {only}{} ON TABLE {table} {to} {user}{option}", each.join(", "))
            }
            Frame::Scope => format!("{verb} {only}{what} FOR {on} {to} {user}{option}"),
            Frame::AssumeRole => format!("{verb} ASSUMEROLE ON {on} {to} {user} FOR {what}"),
            Frame::DefaultsOf(clause) => {
                format!("ALTER DEFAULT PRIVILEGES {clause} {verb} {only}{what} ON {on} {to} {user}{option}")
            }
            Frame::OwnDefaults(schema, kind) => {
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR USER {user}{schema} {verb} {only}{what} ON {kind} {to} {on}{option}"
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
        use Deed::{Give, GiveWithOption, Take, TakeOption};
        for (frame, object, privilege, deed, expected) in [
            (Frame::Group, "\"g\"", "", Give, "ALTER GROUP \"g\" ADD USER \"u\""),
            (Frame::Group, "\"g\"", "", Take, "ALTER GROUP \"g\" DROP USER \"u\""),
            (Frame::Role, "\"r\"", "", GiveWithOption, "GRANT ROLE \"r\" TO \"u\" WITH ADMIN OPTION"),
            (Frame::Role, "\"r\"", "", TakeOption, "REVOKE ADMIN OPTION FOR ROLE \"r\" FROM \"u\""),
            (
                Frame::On("TABLE"),
                "a.b",
                "SELECT",
                GiveWithOption,
                "GRANT SELECT ON TABLE a.b TO \"u\" WITH GRANT OPTION",
            ),
            (
                Frame::On("SCHEMA"),
                "s",
                "USAGE",
                TakeOption,
                "REVOKE GRANT OPTION FOR USAGE ON SCHEMA s FROM \"u\"",
            ),
            (Frame::Columns("t".into()), "c", "UPDATE", Give, "GRANT UPDATE (c) ON TABLE t TO \"u\""),
            (
                Frame::Scope,
                "TABLES IN SCHEMA s",
                "DROP",
                Take,
                "REVOKE DROP FOR TABLES IN SCHEMA s FROM \"u\"",
            ),
            (Frame::AssumeRole, "'arn'", "COPY", Give, "GRANT ASSUMEROLE ON 'arn' TO \"u\" FOR COPY"),
            (
                Frame::DefaultsOf("FOR USER \"o\" IN SCHEMA s".into()),
                "TABLES",
                "SELECT",
                Take,
                "ALTER DEFAULT PRIVILEGES FOR USER \"o\" IN SCHEMA s REVOKE SELECT ON TABLES FROM \"u\"",
            ),
            (
                Frame::OwnDefaults(" IN SCHEMA s".into(), "TABLES"),
                "GROUP \"g\"",
                "SELECT",
                Give,
                "ALTER DEFAULT PRIVILEGES FOR USER \"u\" IN SCHEMA s GRANT SELECT ON TABLES TO GROUP \"g\"",
            ),
        ] {
            assert_eq!(queries([right(frame, object, privilege)], deed, "u"), [expected]);
        }
    }

    #[test]
    fn what_is_alike_shares_a_statement_and_none_outgrows_its_limits() {
        let table = |name: &str, privilege: &str| right(Frame::On("TABLE"), name, privilege);
        let mixed = [table("a", "SELECT"), table("b", "SELECT"), table("b", "INSERT"), table("c", "SELECT")];
        assert_eq!(
            queries(mixed, Deed::Give, "u"),
            ["GRANT INSERT, SELECT ON TABLE b TO \"u\"", "GRANT SELECT ON TABLE a, c TO \"u\""]
        );
        let many = (0..1_201).map(|n| table(&format!("t{n}"), "SELECT"));
        assert_eq!(queries(many, Deed::Give, "u").len(), 3);
        let columns = (0..250).map(|n| right(Frame::Columns(format!("t{n}")), "c", "SELECT"));
        assert_eq!(queries(columns, Deed::Give, "u").len(), 3);
        let long = (0..20).map(|n| table(&format!("{n}{}", "x".repeat(200_000)), "SELECT"));
        let long = queries(long, Deed::Give, "u");
        assert!(long.len() == 4 && long.iter().all(|sql| sql.len() < 2 * BYTES));
        assert_eq!(pieces(&["x".repeat(2 * BYTES)], 9).len(), 1);
    }

    #[test]
    fn the_difference_is_what_is_missing_and_what_is_beyond() {
        let terms = |option| Terms { option, by_owning: false };
        let role = |name: &str| right(Frame::Role, name, "");
        let wanted =
            Rights::from([(role("a"), terms(false)), (role("b"), terms(true)), (role("c"), terms(false))]);
        let held =
            Rights::from([(role("b"), terms(false)), (role("c"), terms(true)), (role("d"), terms(false))]);
        let difference = Difference::between(&wanted, &held);
        assert_eq!(difference.missing, [(role("a"), terms(false)), (role("b"), terms(true))]);
        assert_eq!((difference.beyond, difference.options_beyond), (vec![role("d")], vec![role("c")]));
        assert_eq!(Difference::between(&wanted, &wanted), Difference::default());
    }
}
