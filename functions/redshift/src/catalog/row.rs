//! One row of a system view, and its columns as statements spell them.

use crate::statement::identifier;

pub(super) struct Row(Vec<Option<String>>);

impl Row {
    pub(super) fn new(columns: Vec<Option<String>>) -> Row {
        Row(columns)
    }

    /// A column's text; empty for NULL.
    pub(super) fn text(&self, column: usize) -> &str {
        self.0.get(column).and_then(Option::as_deref).unwrap_or_default()
    }

    pub(super) fn flag(&self, column: usize) -> bool {
        matches!(self.text(column), "t" | "true" | "True" | "1")
    }

    /// A keyword such as SELECT or CREATE MODEL. Only keywords go into statements without quotes.
    pub(super) fn keyword(&self, column: usize) -> Option<String> {
        let text = self.text(column).to_uppercase();
        let is_keyword = !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c == ' ');
        is_keyword.then_some(text)
    }

    pub(super) fn path(&self, column: usize) -> String {
        format!("{}.{}", identifier(self.text(column)), identifier(self.text(column + 1)))
    }

    /// A schema, a function's name and its argument types. Redshift has only built-in types. Other characters are dropped, so
    /// that the statement fails and does nothing else.
    pub(super) fn signature(&self, column: usize) -> String {
        let is_of_type = |c: &char| c.is_ascii_alphanumeric() || " _,\"[]".contains(*c);
        let types: String = self.text(column + 2).chars().filter(is_of_type).collect();
        format!("{}({types})", self.path(column))
    }

    /// The whole row, for people.
    pub(super) fn all(&self) -> String {
        self.0.iter().skip(1).flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keywords_go_into_statements_without_quotes() {
        let row = |text: &str| Row::new(vec![Some(text.to_owned())]);
        assert_eq!(row("Select").keyword(0).as_deref(), Some("SELECT"));
        assert_eq!(row("CREATE MODEL").keyword(0).as_deref(), Some("CREATE MODEL"));
        for text in ["", "SELECT; DROP", "A-B", "Ä", "a\"b"] {
            assert_eq!(row(text).keyword(0), None, "{text}");
        }
        let function =
            Row::new(["s", "f\"", "integer); DROP USER x; --"].map(|text| Some(text.to_owned())).into());
        assert_eq!(function.signature(0), "\"s\".\"f\"\"\"(integer DROP USER x )");
        assert_eq!(Row::new(vec![None]).text(0), "");
    }
}
