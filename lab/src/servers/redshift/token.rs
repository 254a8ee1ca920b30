//! Splits SQL into tokens, so that the gate can judge and translate a statement.

use std::fmt::Write;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a plain name, in lower case.
    Word(String),
    /// A name in double quotes, without the quotes.
    Name(String),
    /// A text in single quotes, unescaped.
    Text(String),
    /// A text in dollar quotes, with the quotes.
    Body(String),
    /// An operator, any other sign, a number, or `$1`.
    Sign(String),
}

impl Token {
    /// Whether this is the keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        match self {
            Token::Word(found) | Token::Sign(found) => found == word,
            Token::Name(_) | Token::Text(_) | Token::Body(_) => false,
        }
    }

    /// PostgreSQL's spelling.
    pub(super) fn write(&self, sql: &mut String) {
        match self {
            Token::Word(text) | Token::Body(text) | Token::Sign(text) => sql.push_str(text),
            Token::Name(name) => sql.push_str(&identifier(name)),
            Token::Text(text) => sql.push_str(&literal(text)),
        }
        sql.push(' ');
    }
}

/// A name as PostgreSQL wants it.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as PostgreSQL wants it, whatever its settings.
pub(super) fn literal(text: &str) -> String {
    format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Tokens as PostgreSQL wants them.
pub(super) fn spell(tokens: &[Token]) -> String {
    let mut sql = String::new();
    for token in tokens {
        token.write(&mut sql);
    }
    sql
}

/// The statements of a query, without the semicolons and the comments between their tokens.
pub(super) fn statements(sql: &str) -> Result<Vec<Vec<Token>>, String> {
    let mut all = vec![Vec::new()];
    let mut rest = sql.char_indices().peekable();
    while let Some((at, first)) = rest.next() {
        let left = &sql[at..];
        let token = match first {
            ';' => {
                all.push(Vec::new());
                continue;
            }
            _ if first.is_whitespace() => continue,
            '-' if left.starts_with("--") => {
                skip(&mut rest, at + left.find('\n').unwrap_or(left.len()));
                continue;
            }
            '/' if left.starts_with("/*") => {
                let end = left.find("*/").ok_or("unterminated comment")?;
                skip(&mut rest, at + end + 2);
                continue;
            }
            '\'' => Token::Text(quoted(&mut rest, '\'').ok_or("unterminated quoted string")?),
            '"' => Token::Name(quoted(&mut rest, '"').ok_or("unterminated quoted identifier")?),
            '$' if dollar_tag(left).is_some() => {
                let tag = dollar_tag(left).expect("just seen");
                let end = left[tag.len()..].find(tag).ok_or("unterminated dollar-quoted string")?;
                let length = end + 2 * tag.len();
                skip(&mut rest, at + length);
                Token::Body(left[..length].to_owned())
            }
            _ if is_word(first) => {
                // A number keeps its point.
                let is_number = first.is_ascii_digit();
                let length = left.find(|c| !(is_word(c) || is_number && c == '.')).unwrap_or(left.len());
                skip(&mut rest, at + length);
                let word = left[..length].to_lowercase();
                if is_number || first == '$' { Token::Sign(word) } else { Token::Word(word) }
            }
            _ if OPERATOR.contains(first) => {
                let length = left.find(|c| !OPERATOR.contains(c)).unwrap_or(left.len());
                skip(&mut rest, at + length);
                Token::Sign(left[..length].to_owned())
            }
            _ => Token::Sign(first.to_string()),
        };
        all.last_mut().expect("there is always one").push(token);
    }
    all.retain(|statement| !statement.is_empty());
    Ok(all)
}

/// The characters of operators. Adjacent ones form one operator.
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?:";

type Chars<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn skip(rest: &mut Chars<'_>, to: usize) {
    while rest.next_if(|(at, _)| *at < to).is_some() {}
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The tag that opens a dollar quote: `$$` or `$name$`.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = 1 + text.get(1..)?.find('$')?;
    let name = &text[1..end];
    let is_tag = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then_some(&text[..=end])
}

/// The text between quotes. In single quotes a backslash escapes the next character, as in PostgreSQL 8.0 (AWS, "QUOTE_LITERAL
/// function": embedded backslashes are doubled).
fn quoted(rest: &mut Chars<'_>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        let (_, c) = rest.next()?;
        if c == quote {
            if rest.next_if(|(_, next)| *next == quote).is_none() {
                return Some(text);
            }
            text.push(quote);
        } else if c == '\\' && quote == '\'' {
            match rest.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                other => text.push(other),
            }
        } else {
            text.push(c);
        }
    }
}

/// One statement that runs several statements of PostgreSQL, in place of one statement of Redshift.
pub(super) fn block(statements: &[String]) -> String {
    let mut sql = String::from("DO $standin$ BEGIN ");
    for statement in statements {
        let _ = write!(sql, "{statement}; ");
    }
    sql.push_str("END $standin$");
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[&str]) {
        let found: Vec<String> =
            statements(sql).unwrap().iter().map(|statement| spell(statement).trim_end().to_owned()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn statements_are_told_apart_whatever_they_contain() {
        check("SELECT 1; -- ;\n select/* ; */2;;", &["select 1", "select 2"]);
        check(r"select 'a;''b\'c\\d', ';'", &[r"select  E'a;''b''c\\d' ,  E';'"]);
        check(r#"GRANT x ON "A;""b" to U"#, &[r#"grant x on "A;""b" to u"#]);
        check(
            "create x as $$ a; $1 b $$; select $t$;$t$, $1",
            &["create x as $$ a; $1 b $$", "select $t$;$t$ , $1"],
        );
        check("select a::text, 'ü'", &["select a :: text ,  E'ü'"]);
        check("select 1.5||t.a<=2", &["select 1.5 || t . a <= 2"]);
        check("", &[]);
    }

    #[test]
    fn an_unclosed_quote_is_an_error() {
        for sql in ["'", "\"", "$$ x", "/* x", "'a''"] {
            assert!(statements(sql).is_err(), "{sql}");
        }
    }
}
