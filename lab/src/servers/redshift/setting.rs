//! Parameters: SET, RESET and SHOW, and the session state that they change.

use super::cursor::Cursor;
use super::deployment::Deployment;
use super::refusal::{Refusal, syntax};
use super::rules;
use super::token::{Token, literal};

/// The session state on which statements depend.
#[derive(Debug)]
pub(super) struct Session {
    /// The kind of cluster that the session is on.
    pub(super) deployment: Deployment,
    /// AWS, "enable_case_sensitive_identifier": without it names in double quotes are folded like all others.
    case_sensitive: bool,
}

impl Session {
    /// A new session.
    pub(super) fn on(deployment: Deployment) -> Session {
        Session { deployment, case_sensitive: false }
    }

    /// A name in double quotes as it is understood. (Those of users are not folded: AWS, "CREATE USER", usage notes.)
    pub(super) fn folded(&self, name: &str) -> String {
        if self.case_sensitive { name.to_owned() } else { name.to_lowercase() }
    }
}

/// SET, RESET and SHOW, of Redshift's own parameters too.
pub(super) fn setting(session: &mut Session, cursor: &mut Cursor<'_>) -> Result<String, Refusal> {
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

/// A value; one for a parameter that PostgreSQL does not know is a text to it.
pub(super) fn value(parameter: &str, cursor: &mut Cursor<'_>) -> String {
    let spelled = cursor.rest_spelled();
    let is_text = parameter.starts_with("rs.") && !spelled.trim().eq_ignore_ascii_case("default");
    if is_text && !spelled.trim_start().starts_with("E'") { literal(spelled.trim()) } else { spelled }
}
