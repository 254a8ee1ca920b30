//! The closed list of what an admin's session may send: account statements, and reads of the server's catalogue. A view of an
//! application can run functions with the rights of its reader, so an admin's session never names an application's object after FROM.

use std::iter::Peekable;
use std::str::Chars;

/// How a statement may begin, apart from SELECT.
const BEGINNINGS: [&str; 10] = [
    "ALTER USER ",
    "CREATE USER ",
    "GRANT ",
    "REVOKE ",
    "SET DEFAULT ROLE ",
    "SHOW CREATE USER ",
    "SHOW GLOBAL VARIABLES ",
    "SHOW GLOBAL STATUS ",
    "SET SESSION wait_timeout = ",
    "DO RELEASE_LOCK(",
];

/// What a SELECT may name after FROM.
const CATALOGUE: [&str; 3] = ["information_schema.", "mysql.", "performance_schema."];

/// Whether an admin's session may send this text of one or more statements.
pub(crate) fn allows(sql: &str) -> bool {
    let Some(bare) = without_quoted(sql) else { return false };
    bare.split(';').all(|statement| is_listed(statement.trim()))
}

fn is_listed(statement: &str) -> bool {
    match statement.strip_prefix("SELECT ") {
        Some(rest) => reads_catalogue(rest),
        None => BEGINNINGS.iter().any(|beginning| statement.starts_with(beginning)),
    }
}

/// Whether every FROM names one view or table of the catalogue, and nothing beside it.
fn reads_catalogue(rest: &str) -> bool {
    let words: Vec<&str> = rest.split_whitespace().collect();
    words.iter().enumerate().all(|(at, word)| match *word {
        "FROM" => {
            let source = words.get(at + 1).is_some_and(|name| is_catalogue(name));
            source && words.get(at + 2).is_none_or(|next| *next == "WHERE")
        }
        word => !["from", "join", "into", "union"].contains(&word.to_lowercase().as_str()),
    })
}

fn is_catalogue(name: &str) -> bool {
    let simple = |rest: &str| rest.chars().all(|character| character.is_alphanumeric() || character == '_');
    CATALOGUE.iter().any(|schema| name.strip_prefix(schema).is_some_and(simple))
}

/// The text with a `?` in the place of each quoted text and name. `None` for what our statements never contain: comments, double
/// quotes, and quotes that stay open.
fn without_quoted(sql: &str) -> Option<String> {
    let (mut bare, mut rest) = (String::new(), sql.chars().peekable());
    while let Some(character) = rest.next() {
        match character {
            '"' | '#' => return None,
            '/' if rest.peek() == Some(&'*') => return None,
            '-' if rest.peek() == Some(&'-') => return None,
            '\'' | '`' => {
                skip(&mut rest, character)?;
                bare.push('?');
            }
            other => bare.push(other),
        }
    }
    Some(bare)
}

/// Skips a quoted text up to its end.
fn skip(rest: &mut Peekable<Chars<'_>>, quote: char) -> Option<()> {
    loop {
        match rest.next()? {
            '\\' if quote == '\'' => drop(rest.next()?),
            end if end == quote && rest.peek() == Some(&quote) => drop(rest.next()),
            end if end == quote => return Some(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Name;
    use crate::server::Server;
    use crate::statement;

    #[test]
    fn what_an_admin_sends_is_on_the_list() {
        let name = Name::new("o'neil \\ FROM; `x", "%");
        for version in ["8.0.11", "9.7.0", "10.11.2-MariaDB"] {
            let server = Server::parse(version, "");
            assert!(allows(&statement::grants(&[&name, &name], server)));
            assert!(allows(&statement::mysql_account(&name, server)));
            assert!(allows(&statement::hosts(&name.user, server.is_mariadb())));
        }
        for sql in [
            statement::alter(&name, "ACCOUNT UNLOCK ATTRIBUTE '{\"a\": null}'"),
            statement::mariadb_account(&name),
            statement::WRONG_LOGINS.to_owned(),
            statement::CHECK.to_owned(),
            statement::unlock("arn"),
            "GRANT SELECT (`a`) ON `x; DROP`.`t` TO 'u'@'%'".to_owned(),
        ] {
            assert!(allows(&sql), "{sql}");
        }
    }

    #[test]
    fn what_could_run_an_applications_code_is_not() {
        for sql in [
            "SELECT 1 FROM `app`.`t` LIMIT 0",
            "SELECT 1 FROM app.t",
            "SELECT 1 FROM mysql.user, app.t",
            "SELECT 1 FROM mysql.user JOIN app.t",
            "SELECT 1 FROM mysql.user WHERE EXISTS (SELECT 1 FROM app.t)",
            "SELECT 1 FROM mysqlx.user",
            "select 1 from app.t",
            "SELECT 1 INTO OUTFILE 'x'",
            "SHOW CREATE PROCEDURE `a`.`b`",
            "GRANT PROCESS ON *.* TO 'a'@'b'; CALL app.p()",
            "GRANT PROCESS ON *.* TO 'a'@'b\\'; DROP USER c",
            "CALL app.p()",
            "DROP USER 'a'@'b'",
            "INSERT INTO t VALUES (1)",
            "SELECT 1 /* FROM */",
            "SELECT \"a\"",
            "",
        ] {
            assert!(!allows(sql), "{sql}");
        }
    }
}
