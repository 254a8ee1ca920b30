//! Translates Redshift's SQL into PostgreSQL's. It refuses statements that Redshift refuses, replaces constructs that only
//! Redshift has, and keeps the rest.

use super::cursor::Cursor;
use super::refusal::{Refusal, syntax};
use super::setting::{Session, setting};
use super::token::{Token, block, identifier, literal, spell, statements};
use super::{defaults, grant, rules, show, user};

/// The largest query (AWS, "SQL commands": "The maximum size for a single SQL statement is 16 MB").
const LARGEST: usize = 16 << 20;

/// The SQL that PostgreSQL runs for a query. A refused statement becomes one that raises the error, so that PostgreSQL itself keeps the
/// state of the transaction.
pub(super) fn query(session: &mut Session, sql: &str) -> String {
    if sql.len() > LARGEST {
        let text = format!(
            "Statement is too large. Statement Size: {} bytes. Maximum Allowed: {LARGEST} bytes",
            sql.len()
        );
        return raise(&Refusal { code: "54000", text });
    }
    let all = match statements(sql) {
        Ok(all) => all,
        Err(error) => return raise(&syntax(error)),
    };
    let mut translated = Vec::with_capacity(all.len());
    for tokens in all {
        match statement(session, tokens) {
            Ok(sql) => translated.push(sql),
            // As a syntax error does, this fails the whole query.
            Err(refusal) => return raise(&refusal),
        }
    }
    translated.join(";")
}

fn raise(refusal: &Refusal) -> String {
    let Refusal { code, text } = refusal;
    format!("SELECT standin.refuse('{code}', {})", literal(text))
}

fn statement(session: &mut Session, mut tokens: Vec<Token>) -> Result<String, Refusal> {
    rules::judge(&tokens)?;
    rules::judge_for(session.deployment, &tokens)?;
    let mut cursor = Cursor::new(&tokens);
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    match (word(0), word(1)) {
        ("grant" | "revoke", _) => return grant::access(&mut cursor, session).map(|sql| block(&sql)),
        ("alter", "default") => return defaults::defaults(&mut cursor).map(|sql| block(&sql)),
        ("attach" | "detach", _) => return defaults::policy(&mut cursor).map(|sql| block(&sql)),
        ("create" | "alter" | "drop", "user") => return user::user(&mut cursor).map(|sql| block(&sql)),
        ("create" | "alter" | "drop", "group") => return user::group(&mut cursor).map(|sql| block(&sql)),
        ("create" | "alter" | "drop", "role") => return user::role(&mut cursor).map(|sql| block(&sql)),
        ("show", "grants") => return show::grants(cursor.after(2)),
        ("explain", _) => show::explained(cursor.after(1))?,
        ("set" | "reset" | "show", _) => return setting(session, &mut cursor),
        ("create", "external") if word(2) == "schema" => {
            let name = cursor.after(3).name()?;
            return Ok(format!("CREATE SCHEMA {}", identifier(&name)));
        }
        ("create", "datashare") => return Ok("SELECT 1".to_owned()),
        _ => {}
    }
    for token in &mut tokens {
        match token {
            Token::Name(name) => *name = session.folded(name),
            Token::Word(word) if word == "pg_proc" => *token = Token::Word("standin.pg_proc".to_owned()),
            _ => {}
        }
    }
    Ok(spell(&tokens))
}
