//! Statements that need one privilege each, and that the server plans and does not run.
//!
//! The plan is asked for with EXPLAIN, and the statement in it touches no row. TRUNCATE is in none of them: it would commit its
//! transaction at once, so nothing could undo it ("TRUNCATE", usage notes). ALTER and DROP would lock the table, and CALL and functions
//! would run an application's code.

use std::collections::BTreeMap;

use crate::databases::Place;
use crate::right::{Frame, Right};
use crate::statement::literal;

/// A privilege that a statement can need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Select,
    Insert,
    Update,
    Delete,
}

/// A privilege on a table, or on columns of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    verb: Verb,
    /// The table or view, as statements spell it.
    table: String,
    /// The columns that the privilege is on, as statements spell them. None for the whole table.
    columns: Vec<String>,
}

impl Need {
    /// What the original may do in a place, as far as statements can ask for it.
    pub(crate) fn all(place: &Place) -> Vec<Need> {
        let mut columns: BTreeMap<(&str, Verb), Vec<String>> = BTreeMap::new();
        for Right { frame, object, privilege } in place.seen.original.rights.keys() {
            let Some(verb) = Verb::read(privilege) else { continue };
            match frame {
                Frame::On("TABLE") => drop(columns.entry((object, verb)).or_default()),
                Frame::Columns(table) => columns.entry((table, verb)).or_default().push(object.clone()),
                _ => {}
            }
        }
        let need =
            |((table, verb), columns): ((&str, Verb), _)| Need { verb, table: table.to_owned(), columns };
        columns.into_iter().map(need).collect()
    }

    /// The table of a privilege whose statement has to name a column, and does not know one.
    pub(crate) fn lacks_a_column(&self) -> Option<&str> {
        (self.verb == Verb::Update && self.columns.is_empty()).then_some(&*self.table)
    }

    /// The statement. `first` has the first column of tables.
    pub(crate) fn statement(&self, first: &BTreeMap<String, String>) -> Option<String> {
        let (table, columns) = (&self.table, &self.columns);
        let query = match self.verb {
            Verb::Select if columns.is_empty() => format!("SELECT * FROM {table}"),
            Verb::Select => format!("SELECT {} FROM {table}", columns.join(", ")),
            Verb::Insert => format!("INSERT INTO {table} SELECT NULL"),
            Verb::Update if columns.is_empty() => format!("UPDATE {table} SET {} = NULL", first.get(table)?),
            Verb::Update => format!("UPDATE {table} SET {} = NULL", columns.join(" = NULL, ")),
            Verb::Delete => format!("DELETE FROM {table}"),
        };
        Some(format!("EXPLAIN {query} WHERE false"))
    }
}

/// The query for the first columns of these tables.
pub(crate) fn first_columns(tables: &[&str]) -> String {
    let quoted = |name: &str| format!("'\"' || REPLACE({name}, '\"', '\"\"') || '\"'");
    let path = format!("{} || '.' || {}", quoted("n.nspname"), quoted("c.relname"));
    let tables = tables.iter().map(|table| literal(table)).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {path}, {} FROM pg_attribute a, pg_class c, pg_namespace n WHERE a.attrelid = c.oid \
         AND c.relnamespace = n.oid AND a.attnum = 1 AND NOT a.attisdropped AND {path} IN ({tables})",
        quoted("a.attname")
    )
}

impl Verb {
    fn read(privilege: &str) -> Option<Verb> {
        Some(match privilege {
            "SELECT" => Verb::Select,
            "INSERT" => Verb::Insert,
            "UPDATE" => Verb::Update,
            "DELETE" => Verb::Delete,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{BothUsers, Holdings};
    use crate::right::Terms;

    fn statements(rights: &[(Frame, &str, &str)]) -> Vec<Option<String>> {
        let right = |(frame, object, privilege): &(Frame, &str, &str)| Right {
            frame: frame.clone(),
            object: (*object).to_owned(),
            privilege: (*privilege).to_owned(),
        };
        let rights = rights.iter().map(|found| (right(found), Terms::default())).collect();
        let original = Holdings { rights, ..Holdings::default() };
        let place = Place { database: None, seen: BothUsers { original, ..BothUsers::default() } };
        let first = BTreeMap::from([("t".to_owned(), "a".to_owned())]);
        Need::all(&place).iter().map(|need| need.statement(&first)).collect()
    }

    #[test]
    fn each_statement_is_only_planned_and_touches_no_row() {
        let all = ["SELECT", "INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "TRUNCATE", "REFERENCES"];
        let mut rights: Vec<_> = all.iter().map(|privilege| (Frame::On("TABLE"), "t", *privilege)).collect();
        for (privilege, column) in [("SELECT", "a"), ("SELECT", "b"), ("UPDATE", "b"), ("UPDATE", "c")] {
            rights.push((Frame::Columns("u".to_owned()), column, privilege));
        }
        for (keyword, object) in [("PROCEDURE", "p()"), ("FUNCTION", "f()"), ("SCHEMA", "s")] {
            rights.push((Frame::On(keyword), object, "EXECUTE"));
        }
        let expected = [
            "EXPLAIN SELECT * FROM t WHERE false",
            "EXPLAIN INSERT INTO t SELECT NULL WHERE false",
            "EXPLAIN UPDATE t SET a = NULL WHERE false",
            "EXPLAIN DELETE FROM t WHERE false",
            "EXPLAIN SELECT a, b FROM u WHERE false",
            "EXPLAIN UPDATE u SET b = NULL, c = NULL WHERE false",
        ];
        assert_eq!(statements(&rights), expected.map(|sql| Some(sql.to_owned())));
        assert_eq!(statements(&[(Frame::On("TABLE"), "of unknown columns", "UPDATE")]), [None]);
    }
}
