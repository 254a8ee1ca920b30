//! The queries, and how to read their rows. Each view has its own page in the Amazon Redshift Database Developer Guide.

use std::collections::HashSet;

use super::row::Row;
use crate::right::{Frame, Right, Terms};
use crate::statement::{identifier, literal};

/// The subject of a query.
pub(super) enum Source {
    Group,
    Role,
    Database,
    Schema,
    Relation,
    Column,
    Function,
    Language,
    Model,
    Datashare,
    IamRole,
    /// Default privileges that others grant the user on objects they will create.
    Default,
    /// Default privileges that the user grants others on objects it will create.
    OwnDefault,
    /// An object that the user owns, of this kind.
    Owned(Kind),
    /// A policy that limits what the user sees.
    Policy,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Database,
    Schema,
    Table,
    View,
    Function,
}

/// `{}` stands for the two users, `{databases}` for the databases that users can log in to, or for the session's database.
pub(super) const CLUSTER: &[(&str, &str, Source)] = &[
    (
        "read groups",
        // Marks are groups as well. Another secret's mark must not be copied.
        "SELECT u.usename, g.groname FROM pg_user u, pg_group g WHERE u.usesysid = ANY(g.grolist) AND u.usename IN ({}) \
         AND NOT (SUBSTRING(g.groname, 1, 9) = 'turnlock_' AND LENGTH(g.groname) = 41)",
        Source::Group,
    ),
    (
        "read roles",
        "SELECT user_name, role_name, admin_option FROM svv_user_grants WHERE user_name IN ({})",
        Source::Role,
    ),
    (
        "read privileges on databases",
        "SELECT identity_name, database_name, privilege_scope, privilege_type, admin_option FROM svv_database_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({}) \
         AND (privilege_scope = 'DATABASE' OR database_name NOT IN ({databases}))",
        Source::Database,
    ),
    (
        "read privileges on datashares",
        "SELECT identity_name, datashare_name, privilege_type, admin_option FROM svv_datashare_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::Datashare,
    ),
    (
        "read the IAM roles that may be assumed",
        "SELECT identity_name, iam_arn, command_type FROM svv_iam_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::IamRole,
    ),
    (
        "read who owns databases",
        "SELECT u.usename, d.datname FROM pg_database d, pg_user u WHERE u.usesysid = d.datdba AND u.usename IN ({})",
        Source::Owned(Kind::Database),
    ),
];

/// Scoped privileges on a database are granted inside that database, if users can log in to it.
pub(super) const DATABASE: &[(&str, &str, Source)] = &[
    (
        "read privileges on everything in the database",
        "SELECT identity_name, database_name, privilege_scope, privilege_type, admin_option FROM svv_database_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({}) AND privilege_scope <> 'DATABASE' AND database_name IN ({databases})",
        Source::Database,
    ),
    (
        "read privileges on schemas",
        "SELECT identity_name, namespace_name, privilege_scope, privilege_type, admin_option FROM svv_schema_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::Schema,
    ),
    (
        "read privileges on tables and views",
        "SELECT identity_name, namespace_name, relation_name, privilege_type, admin_option FROM svv_relation_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::Relation,
    ),
    (
        "read privileges on columns",
        "SELECT identity_name, namespace_name, relation_name, column_name, privilege_type FROM svv_column_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::Column,
    ),
    (
        "read privileges on functions and procedures",
        "SELECT identity_name, namespace_name, function_name, argument_types, privilege_type, admin_option \
         FROM svv_function_privileges WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::Function,
    ),
    (
        "read privileges on languages",
        "SELECT identity_name, language_name, privilege_type, admin_option FROM svv_language_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::Language,
    ),
    (
        "read privileges on models",
        "SELECT identity_name, namespace_name, model_name, privilege_type, admin_option FROM svv_ml_model_privileges \
         WHERE identity_type = 'user' AND identity_name IN ({})",
        Source::Model,
    ),
    (
        "read default privileges",
        "SELECT grantee_name, owner_name, schema_name, object_type, privilege_type, admin_option FROM svv_default_privileges \
         WHERE grantee_type = 'user' AND grantee_name IN ({}) AND owner_type = 'user' AND owner_name NOT IN ({})",
        Source::Default,
    ),
    (
        "read default privileges given to others",
        "SELECT owner_name, grantee_type, grantee_name, schema_name, object_type, privilege_type, admin_option \
         FROM svv_default_privileges WHERE owner_type = 'user' AND owner_name IN ({}) \
         AND NOT (owner_name = {original} AND grantee_type = 'user' AND grantee_name = {alternate})",
        Source::OwnDefault,
    ),
    (
        "read who owns schemas",
        "SELECT u.usename, n.nspname FROM pg_namespace n, pg_user u \
         WHERE u.usesysid = n.nspowner AND SUBSTRING(n.nspname, 1, 3) <> 'pg_' AND u.usename IN ({})",
        Source::Owned(Kind::Schema),
    ),
    (
        // Redshift itself manages the tables behind materialized views.
        "read who owns tables",
        "SELECT u.usename, n.nspname, c.relname FROM pg_class c, pg_namespace n, pg_user u \
         WHERE n.oid = c.relnamespace AND u.usesysid = c.relowner AND c.relkind = 'r' \
         AND SUBSTRING(n.nspname, 1, 3) <> 'pg_' AND SUBSTRING(c.relname, 1, 8) <> 'mv_tbl__' AND u.usename IN ({})",
        Source::Owned(Kind::Table),
    ),
    (
        "read who owns views",
        "SELECT u.usename, n.nspname, c.relname FROM pg_class c, pg_namespace n, pg_user u \
         WHERE n.oid = c.relnamespace AND u.usesysid = c.relowner AND c.relkind IN ('v', 'm') \
         AND SUBSTRING(n.nspname, 1, 3) <> 'pg_' AND u.usename IN ({})",
        Source::Owned(Kind::View),
    ),
    (
        "read who owns functions",
        "SELECT u.usename, n.nspname, p.proname, oidvectortypes(p.proargtypes) FROM pg_proc p, pg_namespace n, pg_user u \
         WHERE n.oid = p.pronamespace AND u.usesysid = p.proowner AND SUBSTRING(n.nspname, 1, 3) <> 'pg_' AND u.usename IN ({})",
        Source::Owned(Kind::Function),
    ),
    (
        "read row-level security policies",
        "SELECT grantee, polname, relschema, relname FROM svv_rls_attached_policy \
         WHERE granteekind = 'user' AND grantee IN ({})",
        Source::Policy,
    ),
    (
        "read masking policies",
        "SELECT grantee, policy_name, schema_name, table_name FROM svv_attached_masking_policy \
         WHERE grantee_type = 'user' AND grantee IN ({})",
        Source::Policy,
    ),
];

/// A procedure returns nothing ("PG_PROC": its `prorettype` is 0).
pub(super) const PROCEDURES: &str = "SELECT n.nspname, p.proname, oidvectortypes(p.proargtypes) FROM pg_proc p, pg_namespace n \
     WHERE n.oid = p.pronamespace AND p.prorettype = 0 AND SUBSTRING(n.nspname, 1, 3) <> 'pg_'";

/// Leaves out Redshift's own databases and templates, which hold no users' objects.
pub(super) const DATABASES: &str = "SELECT database_name FROM svv_redshift_databases WHERE database_type = 'local' \
     AND database_name NOT IN ('padb_harvest', 'sys:internal', 'template0', 'template1') ORDER BY 1";

/// The users and the databases that queries are about.
pub(super) struct About<'a> {
    pub(super) users: [&'a str; 2],
    pub(super) databases: &'a [String],
}

impl About<'_> {
    /// A query with these names filled in. It is filled in one pass, so a name that looks like a placeholder stays a name.
    pub(super) fn fill(&self, sql: &str) -> String {
        let [original, alternate] = self.users.map(literal);
        let mut parts = sql.split('{');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (place, rest) = part.split_once('}').unwrap_or((part, ""));
            match place {
                "original" => filled.push_str(&original),
                "alternate" => filled.push_str(&alternate),
                "databases" => filled.push_str(&self.databases()),
                _ => filled.push_str(&format!("{original}, {alternate}")),
            }
            filled.push_str(rest);
        }
        filled
    }

    /// SQL has no empty lists. No database has the empty name.
    fn databases(&self) -> String {
        let names = [""].into_iter().chain(self.databases.iter().map(String::as_str));
        names.map(literal).collect::<Vec<_>>().join(", ")
    }
}

impl Source {
    /// Reads the privilege in a row; `None` if no statement here can grant it.
    pub(super) fn understand(&self, row: &Row, procedures: &HashSet<String>) -> Option<(Right, Terms)> {
        let on = |keyword, object, privilege| Some(Right { frame: Frame::On(keyword), object, privilege });
        let called = |right: Option<Right>, option| Some((right?, Terms { option, by_owning: false }));
        match self {
            Source::Group => called(Some(plain(Frame::Group, identifier(row.text(1)))), false),
            Source::Role => called(Some(plain(Frame::Role, identifier(row.text(1)))), row.flag(2)),
            Source::Database | Source::Schema => {
                let keyword = if matches!(self, Source::Schema) { "SCHEMA" } else { "DATABASE" };
                let (name, scope, privilege) = (identifier(row.text(1)), row.keyword(2)?, row.keyword(3)?);
                let right = if scope == keyword {
                    on(keyword, name, privilege)
                } else {
                    Some(Right {
                        frame: Frame::Scope,
                        object: format!("{scope} IN {keyword} {name}"),
                        privilege,
                    })
                };
                called(right, row.flag(4))
            }
            Source::Relation => called(on("TABLE", row.path(1), row.keyword(3)?), row.flag(4)),
            Source::Column => {
                let frame = Frame::Columns(row.path(1));
                called(
                    Some(Right { frame, object: identifier(row.text(3)), privilege: row.keyword(4)? }),
                    false,
                )
            }
            Source::Function => {
                let signature = row.signature(1);
                called(on(routine(&signature, procedures), signature, row.keyword(4)?), row.flag(5))
            }
            Source::Language => called(on("LANGUAGE", identifier(row.text(1)), row.keyword(2)?), row.flag(3)),
            Source::Model => called(on("MODEL", row.path(1), row.keyword(3)?), row.flag(4)),
            Source::Datashare => {
                called(on("DATASHARE", identifier(row.text(1)), row.keyword(2)?), row.flag(3))
            }
            Source::IamRole => called(Some(iam_role(row)?), false),
            Source::Default => {
                let frame = Frame::DefaultsOf(format!(
                    "FOR USER {}{}",
                    identifier(row.text(1)),
                    in_schema(row.text(2))
                ));
                let object = kind_of_default(row.text(3))?.to_owned();
                called(Some(Right { frame, object, privilege: row.keyword(4)? }), row.flag(5))
            }
            Source::OwnDefault => {
                let frame = Frame::OwnDefaults(in_schema(row.text(3)), kind_of_default(row.text(4))?);
                let object = grantee(row.text(1), row.text(2))?;
                called(Some(Right { frame, object, privilege: row.keyword(5)? }), row.flag(6))
            }
            Source::Owned(kind) => called(Some(kind.owned(row, procedures)), true),
            Source::Policy => {
                called(Some(plain(Frame::Group, format!("{} on {}", row.text(1), row.path(2)))), false)
            }
        }
    }
}

impl Kind {
    /// Everything that can be granted on an owned object.
    fn owned(self, row: &Row, procedures: &HashSet<String>) -> Right {
        let (keyword, object, privileges) = match self {
            Kind::Database => ("DATABASE", identifier(row.text(1)), "CREATE, TEMP"),
            Kind::Schema => ("SCHEMA", identifier(row.text(1)), "CREATE, USAGE"),
            Kind::Table => {
                ("TABLE", row.path(1), "SELECT, INSERT, UPDATE, DELETE, DROP, REFERENCES, ALTER, TRUNCATE")
            }
            Kind::View => ("TABLE", row.path(1), "SELECT, DROP, ALTER"),
            Kind::Function => {
                let signature = row.signature(1);
                (routine(&signature, procedures), signature, "EXECUTE")
            }
        };
        Right { frame: Frame::On(keyword), object, privilege: privileges.to_owned() }
    }
}

fn plain(frame: Frame, object: String) -> Right {
    Right { frame, object, privilege: String::new() }
}

fn routine(signature: &str, procedures: &HashSet<String>) -> &'static str {
    if procedures.contains(signature) { "PROCEDURE" } else { "FUNCTION" }
}

fn in_schema(schema: &str) -> String {
    if schema.is_empty() { String::new() } else { format!(" IN SCHEMA {}", identifier(schema)) }
}

fn kind_of_default(object_type: &str) -> Option<&'static str> {
    Some(match object_type {
        "RELATION" => "TABLES",
        "FUNCTION" => "FUNCTIONS",
        "PROCEDURE" => "PROCEDURES",
        _ => return None,
    })
}

fn grantee(kind: &str, name: &str) -> Option<String> {
    Some(match kind {
        "user" => identifier(name),
        "group" => format!("GROUP {}", identifier(name)),
        "role" => format!("ROLE {}", identifier(name)),
        "public" => "PUBLIC".to_owned(),
        _ => return None,
    })
}

fn iam_role(row: &Row) -> Option<Right> {
    let object = match row.text(1) {
        "default-aws-iam-role" => "DEFAULT".to_owned(),
        "ALL" => "ALL".to_owned(),
        arn => literal(arn),
    };
    let command = row.keyword(2)?;
    let privilege = if command == "EXFUNC" { "EXTERNAL FUNCTION".to_owned() } else { command };
    Some(Right { frame: Frame::AssumeRole, object, privilege })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_named_like_a_placeholder_stays_a_name() {
        const SQL: &str = "a IN ({}) AND b = {original} AND c = {alternate} AND d IN ({databases})";
        let check = |original: &str, alternate: &str, database: &str| {
            let about = About { users: [original, alternate], databases: &[database.to_owned()] };
            let expected = format!(
                "a IN ('{original}', '{alternate}') AND b = '{original}' AND c = '{alternate}' AND d IN ('', '{database}')"
            );
            assert_eq!(about.fill(SQL), expected);
        };
        let places =
            ["{}", "{original}", "{alternate}", "{databases}", "{", "}", "); DROP USER x; --{alternate}"];
        for place in places {
            check(place, "b", "d");
            check("a", place, "d");
            check("a", "b", place);
        }
        check("{alternate}", "{original}", "{}");
    }
}
