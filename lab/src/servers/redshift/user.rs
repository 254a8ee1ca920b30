//! Users, groups and roles. Redshift has all three, PostgreSQL has only roles. (catalog.sql says how they are told apart.)

use super::cursor::Cursor;
use super::password::{self, Password};
use super::refusal::{Refusal, syntax};
use super::rules;
use super::setting::value;
use super::token::{identifier, literal};

/// The PostgreSQL role that is a group.
pub(super) fn group_role(name: &str) -> String {
    identifier(&format!("grp:{}", name.to_lowercase()))
}

/// The PostgreSQL role that is an RBAC role.
pub(super) fn rbac_role(name: &str) -> String {
    identifier(&format!("role:{}", name.to_lowercase()))
}

/// CREATE, ALTER and DROP USER (AWS, the pages of these names).
pub(super) fn user(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
    let verb = cursor.word()?;
    cursor.expect("user")?;
    if verb == "drop" {
        let missing_ok = if cursor.take_all(&["if", "exists"]) { "IF EXISTS " } else { "" };
        let names = cursor.list(Cursor::name)?;
        cursor.end()?;
        return Ok(names.iter().map(|name| format!("DROP ROLE {missing_ok}{}", identifier(name))).collect());
    }
    let name = cursor.name()?;
    let user = identifier(&name);
    cursor.take("with");
    let is_new = verb == "create";
    if is_new && !cursor.peek().is_some_and(|token| token.is("password")) {
        return Err(cursor.unexpected("CREATE USER needs a PASSWORD"));
    }
    let mut sql = if is_new { vec![format!("CREATE ROLE {user} LOGIN")] } else { Vec::new() };
    if cursor.is_over() {
        return Err(syntax("ALTER USER needs an option"));
    }
    while !cursor.is_over() {
        option(cursor, &user, is_new, &mut sql)?;
        cursor.take(",");
    }
    Ok(sql)
}

/// One option of CREATE or ALTER USER.
fn option(cursor: &mut Cursor<'_>, user: &str, is_new: bool, sql: &mut Vec<String>) -> Result<(), Refusal> {
    let word = cursor.word()?;
    let clauses = match word.as_str() {
        "password" if cursor.take("disable") => vec!["PASSWORD NULL".to_owned()],
        "password" => return set_password(cursor, user, sql),
        "in" if is_new => {
            cursor.expect("group")?;
            for group in cursor.list(Cursor::name)? {
                sql.push(format!("GRANT {} TO {user}", group_role(&group)));
            }
            return Ok(());
        }
        "reset" | "set" | "rename" if !is_new => change(&word, cursor)?,
        _ => vec![attribute(&word, cursor)?],
    };
    sql.extend(clauses.iter().map(|clause| format!("ALTER ROLE {user} {clause}")));
    Ok(())
}

/// PASSWORD, in one of its forms.
fn set_password(cursor: &mut Cursor<'_>, user: &str, sql: &mut Vec<String>) -> Result<(), Refusal> {
    match password::read(&cursor.text()?)? {
        Password::Kept(text) => {
            // Only a superuser can satisfy this setting, so a user that has it cannot log in here.
            sql.push(format!("ALTER ROLE {user} PASSWORD {}", literal(&text)));
            let superuser = "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)";
            sql.push(format!("IF {superuser} THEN ALTER ROLE {user} RESET \"standin.sha256\"; END IF"));
        }
        Password::Digest(text) => {
            sql.push(format!("ALTER ROLE {user} PASSWORD NULL"));
            sql.push(format!("ALTER ROLE {user} SET \"standin.sha256\" = {}", literal(&text)));
        }
    }
    Ok(())
}

/// The clause of ALTER ROLE for an option that CREATE USER and ALTER USER both have.
fn attribute(word: &str, cursor: &mut Cursor<'_>) -> Result<String, Refusal> {
    Ok(match word {
        "valid" => {
            cursor.expect("until")?;
            format!("VALID UNTIL {}", literal(&cursor.text()?))
        }
        "createdb" => "CREATEDB".to_owned(),
        "nocreatedb" => "NOCREATEDB".to_owned(),
        "createuser" => "SUPERUSER".to_owned(),
        "nocreateuser" => "NOSUPERUSER".to_owned(),
        "syslog" => {
            cursor.expect("access")?;
            let access = cursor.word()?;
            if access != "restricted" && access != "unrestricted" {
                return Err(syntax("SYSLOG ACCESS is RESTRICTED or UNRESTRICTED"));
            }
            format!("SET \"standin.syslog_access\" = '{}'", access.to_uppercase())
        }
        "connection" => {
            cursor.expect("limit")?;
            let limit = if cursor.take("unlimited") { -1 } else { cursor.number()? };
            format!("CONNECTION LIMIT {limit}")
        }
        "session" => {
            cursor.expect("timeout")?;
            let seconds = cursor.number()?;
            if !(60..=1_728_000).contains(&seconds) {
                let text = "session timeout is 60 to 1728000 seconds".into();
                return Err(Refusal { code: "22023", text });
            }
            format!("SET \"standin.session_timeout\" = '{seconds}'")
        }
        "externalid" => format!("SET \"standin.external_id\" = {}", literal(&cursor.name()?)),
        other => return Err(syntax(format!("at or near {other}: no option of CREATE or ALTER USER"))),
    })
}

/// The clauses of ALTER ROLE for an option that only ALTER USER has.
fn change(word: &str, cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
    Ok(match word {
        "reset" if cursor.take_all(&["session", "timeout"]) => {
            vec!["RESET \"standin.session_timeout\"".to_owned()]
        }
        "reset" => vec![format!("RESET {}", rules::parameter(&cursor.dotted()?)?)],
        "set" => {
            let parameter = rules::parameter(&cursor.dotted()?)?;
            if !cursor.take("to") {
                cursor.expect("=")?;
            }
            vec![format!("SET {parameter} TO {}", value(&parameter, cursor))]
        }
        _ => {
            cursor.expect("to")?;
            // The user name is part of the hash ("When you rename a user, you must also change the user's password").
            vec!["PASSWORD NULL".to_owned(), format!("RENAME TO {}", identifier(&cursor.name()?))]
        }
    })
}

/// CREATE, ALTER and DROP GROUP.
pub(super) fn group(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
    let verb = cursor.word()?;
    cursor.expect("group")?;
    let group = group_role(&cursor.name()?);
    let mut sql = Vec::new();
    match verb.as_str() {
        "create" => {
            sql.push(format!("CREATE ROLE {group}"));
            cursor.take("with");
            if cursor.take("user") {
                let users = cursor.list(Cursor::name)?;
                sql.extend(users.iter().map(|user| format!("GRANT {group} TO {}", identifier(user))));
            }
        }
        "drop" => sql.push(format!("DROP ROLE {group}")),
        _ if cursor.take_all(&["rename", "to"]) => {
            sql.push(format!("ALTER ROLE {group} RENAME TO {}", group_role(&cursor.name()?)));
        }
        _ => {
            let words = match cursor.word()?.as_str() {
                "add" => ("GRANT", "TO"),
                "drop" => ("REVOKE", "FROM"),
                _ => return Err(syntax("ALTER GROUP has ADD USER, DROP USER and RENAME TO")),
            };
            cursor.expect("user")?;
            let users = cursor.list(Cursor::name)?;
            sql.extend(
                users.iter().map(|user| format!("{} {group} {} {}", words.0, words.1, identifier(user))),
            );
        }
    }
    cursor.end().map(|()| sql)
}

/// CREATE, ALTER and DROP ROLE. A role gives access through GRANT ROLE, and never logs in.
pub(super) fn role(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
    let verb = cursor.word()?;
    cursor.expect("role")?;
    let role = rbac_role(&cursor.name()?);
    let sql = match verb.as_str() {
        "create" => format!("CREATE ROLE {role}"),
        "drop" => {
            let _ = cursor.take("force") || cursor.take("restrict");
            format!("DROP ROLE {role}")
        }
        _ => {
            cursor.expect("rename")?;
            cursor.expect("to")?;
            format!("ALTER ROLE {role} RENAME TO {}", rbac_role(&cursor.name()?))
        }
    };
    cursor.end().map(|()| vec![sql])
}
