//! Translates Redshift's SQL into PostgreSQL's. It refuses statements that Redshift refuses, replaces what only Redshift has, and keeps
//! the rest.

use super::cursor::Cursor;
use super::token::{Token, block, literal, spell, statements};
use super::{defaults, grant, rules, user};

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The SQLSTATE.
    pub(super) code: &'static str,
    /// The message.
    pub(super) text: String,
}

/// Redshift's error for a statement that its grammar does not have.
pub(super) fn syntax(text: impl Into<String>) -> Refusal {
    Refusal { code: "42601", text: format!("syntax error: {}", text.into()) }
}

/// The settings on which the meaning of statements depends.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// AWS, "enable_case_sensitive_identifier": without it names in double quotes are folded like all others.
    case_sensitive: bool,
}

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
        ("set" | "reset" | "show", _) => return setting(session, &mut cursor),
        ("create", "external") if word(2) == "schema" => {
            let name = cursor.after(3).name()?;
            return Ok(format!("CREATE SCHEMA {}", super::token::identifier(&name)));
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

impl Session {
    /// A name in double quotes as it is understood. (Those of users are not folded: AWS, "CREATE USER", usage notes.)
    pub(super) fn folded(&self, name: &str) -> String {
        if self.case_sensitive { name.to_owned() } else { name.to_lowercase() }
    }
}

/// SET, RESET and SHOW, of Redshift's own parameters too.
fn setting(session: &mut Session, cursor: &mut Cursor<'_>) -> Result<String, Refusal> {
    let verb = cursor.word()?;
    if verb == "set"
        && (cursor.take("session") && cursor.take("authorization") || cursor.take("authorization"))
    {
        return Ok(format!("SET SESSION AUTHORIZATION {}", cursor.rest_spelled()));
    }
    if verb == "show" && cursor.take("all") || verb == "set" && cursor.take("characteristics") {
        return Ok(format!("{verb} {}", cursor.all_spelled()));
    }
    let local = if cursor.take("local") { "LOCAL " } else { "" };
    let name = cursor.dotted()?;
    let kept_as = rules::parameter(&name)?;
    if verb != "set" {
        return Ok(format!("{verb} {kept_as}"));
    }
    if !cursor.take("to") && !cursor.take("=") {
        return Err(syntax("SET needs TO or ="));
    }
    if name == "enable_case_sensitive_identifier" {
        session.case_sensitive = cursor.peek().is_some_and(|value| {
            ["true", "on", "1"].iter().any(|yes| value.is(yes)) || *value == Token::Text("true".to_owned())
        });
    }
    Ok(format!("SET {local}{kept_as} TO {}", value(&kept_as, cursor)))
}

/// A value. For a parameter that PostgreSQL does not know, it becomes a text.
pub(super) fn value(parameter: &str, cursor: &mut Cursor<'_>) -> String {
    let spelled = cursor.rest_spelled();
    let is_text = parameter.starts_with("rs.") && !spelled.trim().eq_ignore_ascii_case("default");
    if is_text && !spelled.trim_start().starts_with("E'") { literal(spelled.trim()) } else { spelled }
}
