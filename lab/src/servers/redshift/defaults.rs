//! ALTER DEFAULT PRIVILEGES (AWS, the page of this name), and policies attached to users.

use super::cursor::Cursor;
use super::deployment::Deployment;
use super::grant::{Access, postgres_name, privilege};
use super::refusal::{Refusal, syntax};
use super::setting::Session;
use super::token::{identifier, literal};

/// ALTER DEFAULT PRIVILEGES.
pub(super) fn defaults(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
    cursor.after(2).expect("privileges")?;
    let mut owner = "current_user".to_owned();
    let mut prefix = "ALTER DEFAULT PRIVILEGES".to_owned();
    if cursor.take_all(&["for", "user"]) {
        let name = cursor.name()?;
        prefix = format!("{prefix} FOR ROLE {}", identifier(&name));
        owner = literal(&name);
    }
    let mut schema = String::new();
    if cursor.take_all(&["in", "schema"]) {
        schema = cursor.name()?;
        prefix = format!("{prefix} IN SCHEMA {}", identifier(&schema));
    }
    let giving = cursor.word()? == "grant";
    let only_option = !giving && cursor.take_all(&["grant", "option", "for"]);
    let access = Access { giving, only_option };
    let session = Session::on(Deployment::Provisioned);
    let privileges = cursor.list(|cursor| privilege(cursor, &session))?;
    cursor.expect("on")?;
    let what = cursor.word()?;
    let grantees = access.grantees(cursor)?;
    cursor.end()?;
    let mut sql = Vec::new();
    for grantee in &grantees {
        match what.as_str() {
            "tables" | "functions" => {
                let list: Vec<&str> =
                    privileges.iter().map(|privilege| postgres_name(&what, &privilege.name)).collect();
                sql.push(format!("{prefix} {}", access.native(&list.join(", "), &what, grantee)));
            }
            // PostgreSQL has one kind of default for functions and procedures.
            "procedures" => {
                sql.extend(access.kept(
                    "default procedure",
                    &owner,
                    &schema,
                    &["EXECUTE".to_owned()],
                    grantee,
                ));
            }
            _ => return Err(syntax("default privileges are ON TABLES, FUNCTIONS or PROCEDURES")),
        }
    }
    Ok(sql)
}

/// ATTACH and DETACH RLS POLICY name ON table TO user, and MASKING POLICY name ON table (columns) TO user.
pub(super) fn policy(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
    let giving = cursor.word()? == "attach";
    let kind = cursor.word()?;
    cursor.expect("policy")?;
    let policy = cursor.name()?;
    cursor.expect("on")?;
    cursor.take("table");
    let path = cursor.path()?;
    if cursor.peek().is_some_and(|token| token.is("(")) {
        cursor.parenthesised()?;
    }
    let object = literal(&if path.len() == 1 { format!("public.{}", path[0]) } else { path.join(".") });
    let access = Access { giving, only_option: false };
    let grantees = access.grantees(cursor)?;
    cursor.end()?;
    Ok(grantees
        .iter()
        .flat_map(|grantee| access.kept(&kind, &object, "", std::slice::from_ref(&policy), grantee))
        .collect())
}
