//! GRANT and REVOKE (AWS, the pages of these names).

use super::cursor::Cursor;
use super::refusal::{Refusal, syntax};
use super::setting::Session;
use super::token::{Token, identifier, literal, spell};
use super::user::{group_role, rbac_role};

pub(super) struct Grantee {
    kind: &'static str,
    name: String,
    with_option: bool,
}

impl Grantee {
    fn role(&self) -> String {
        match self.kind {
            "group" => group_role(&self.name),
            "role" => rbac_role(&self.name),
            "public" => "PUBLIC".to_owned(),
            _ => identifier(&self.name),
        }
    }

    /// The grantee as `standin.give` and `take` expect it.
    fn arguments(&self) -> String {
        format!("'{}', {}", self.kind, literal(&self.name))
    }
}

/// A privilege, and its columns, if any.
pub(super) struct Privilege {
    pub(super) name: String,
    columns: Option<String>,
}

/// One GRANT or REVOKE while its statement is read.
pub(super) struct Access {
    pub(super) giving: bool,
    pub(super) only_option: bool,
}

/// GRANT and REVOKE in all their forms.
pub(super) fn access(cursor: &mut Cursor<'_>, session: &Session) -> Result<Vec<String>, Refusal> {
    let giving = cursor.word()? == "grant";
    let only_option = !giving
        && (cursor.take_all(&["grant", "option", "for"]) || cursor.take_all(&["admin", "option", "for"]));
    let access = Access { giving, only_option };
    if cursor.peek().is_some_and(|token| token.is("role")) {
        return access.roles(cursor);
    }
    if cursor.take("assumerole") {
        return access.assume_role(cursor);
    }
    let privileges = cursor.list(|cursor| privilege(cursor, session))?;
    if cursor.take("for") {
        return access.scoped(cursor, &privileges);
    }
    if !cursor.take("on") {
        return access.system(cursor, &privileges);
    }
    let kind = match cursor.peek() {
        Some(Token::Word(word)) => word.clone(),
        _ => String::new(),
    };
    let is_kind =
        ["table", "database", "schema", "function", "procedure", "language", "all", "datashare", "model"];
    let kind = if is_kind.contains(&kind.as_str()) { cursor.word()? } else { "table".to_owned() };
    let objects = match kind.as_str() {
        "all" => vec![access.all_in_schema(cursor, session)?],
        "function" | "procedure" => cursor.list(|cursor| signature(cursor, session))?,
        _ => cursor.list(|cursor| object(cursor, session))?,
    };
    let mut sql = Vec::new();
    for grantee in access.grantees(cursor)? {
        access.on(&kind, &privileges, &objects, &grantee, &mut sql)?;
    }
    cursor.end().map(|()| sql)
}

impl Access {
    /// GRANT ROLE, the only statement that grants a role ("Granting role permissions").
    fn roles(&self, cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
        let roles = cursor.list(|cursor| {
            cursor.expect("role")?;
            cursor.name()
        })?;
        let mut sql = Vec::new();
        for grantee in self.grantees(cursor)? {
            for role in &roles {
                let (role, to) = (rbac_role(role), grantee.role());
                sql.push(match self {
                    Access { giving: true, .. } if grantee.with_option => {
                        format!("GRANT {role} TO {to} WITH ADMIN OPTION")
                    }
                    Access { giving: true, .. } => format!("GRANT {role} TO {to}"),
                    Access { only_option: true, .. } => format!("REVOKE ADMIN OPTION FOR {role} FROM {to}"),
                    Access { .. } => format!("REVOKE {role} FROM {to}"),
                });
            }
        }
        cursor.end().map(|()| sql)
    }

    /// GRANT ASSUMEROLE ON 'arn' TO user FOR commands.
    fn assume_role(&self, cursor: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
        cursor.expect("on")?;
        let arn = match cursor.next() {
            Some(Token::Text(arn)) => arn.clone(),
            Some(Token::Word(word)) if word == "default" => "default-aws-iam-role".to_owned(),
            Some(Token::Word(word)) if word == "all" => "ALL".to_owned(),
            _ => return Err(syntax("ASSUMEROLE is ON 'role', DEFAULT or ALL")),
        };
        let grantees = self.grantees(cursor)?;
        cursor.expect("for")?;
        let commands = cursor.list(|cursor| match cursor.word()?.as_str() {
            "external" => cursor.expect("function").map(|()| "EXFUNC".to_owned()),
            "create" => cursor.expect("model").map(|()| "CREATE MODEL".to_owned()),
            "all" => Err(syntax("the stand-in wants the commands one by one")),
            word => Ok(word.to_uppercase()),
        })?;
        let each = |grantee: &Grantee| self.kept("iam", &literal(&arn), "", &commands, grantee);
        cursor.end()?;
        Ok(grantees.iter().flat_map(each).collect())
    }

    /// GRANT ... FOR TABLES IN SCHEMA s ("Scoped permissions").
    fn scoped(&self, cursor: &mut Cursor<'_>, privileges: &[Privilege]) -> Result<Vec<String>, Refusal> {
        let scope = cursor.word()?.to_uppercase();
        cursor.expect("in")?;
        let kind = cursor.word()?;
        if !["schema", "database"].contains(&kind.as_str()) {
            return Err(syntax("a scope is IN SCHEMA or IN DATABASE"));
        }
        let object = literal(&cursor.name()?);
        if kind == "schema" && cursor.take("database") {
            cursor.name()?;
        }
        let names: Vec<String> = privileges.iter().map(|privilege| privilege.name.to_uppercase()).collect();
        let grantees = self.grantees(cursor)?;
        cursor.end()?;
        Ok(grantees.iter().flat_map(|grantee| self.kept(&kind, &object, &scope, &names, grantee)).collect())
    }

    /// System permissions, which only roles can have ("Granting system permissions to roles").
    fn system(&self, cursor: &mut Cursor<'_>, privileges: &[Privilege]) -> Result<Vec<String>, Refusal> {
        let names: Vec<String> = privileges.iter().map(|privilege| privilege.name.to_uppercase()).collect();
        let grantees = self.grantees(cursor)?;
        if grantees.iter().any(|grantee| grantee.kind != "role") {
            return Err(syntax("only roles take system permissions, and a role is given with GRANT ROLE"));
        }
        cursor.end()?;
        Ok(grantees.iter().flat_map(|grantee| self.kept("system", "''", "", &names, grantee)).collect())
    }

    fn all_in_schema(&self, cursor: &mut Cursor<'_>, session: &Session) -> Result<String, Refusal> {
        let what = cursor.word()?;
        cursor.expect("in")?;
        cursor.expect("schema")?;
        let schemas = cursor.list(|cursor| object(cursor, session))?;
        Ok(format!("ALL {what} IN SCHEMA {}", schemas.join(", ")))
    }

    /// The grantees behind TO or FROM. Only users can have options.
    pub(super) fn grantees(&self, cursor: &mut Cursor<'_>) -> Result<Vec<Grantee>, Refusal> {
        cursor.expect(if self.giving { "to" } else { "from" })?;
        let grantees = cursor.list(|cursor| {
            let kind = match cursor.peek() {
                Some(token) if token.is("group") => "group",
                Some(token) if token.is("role") => "role",
                Some(token) if token.is("public") => "public",
                _ => "user",
            };
            if kind == "group" || kind == "role" {
                cursor.next();
            }
            let name = cursor.name()?;
            let with_option = cursor.take_all(&["with", "grant", "option"])
                || cursor.take_all(&["with", "admin", "option"]);
            if with_option && (kind != "user" || !self.giving) {
                return Err(syntax("an option is for users only"));
            }
            Ok(Grantee { kind, name, with_option })
        })?;
        if !self.giving {
            cursor.take("restrict");
        }
        Ok(grantees)
    }

    /// The statements for one grantee, on objects of one kind.
    fn on(
        &self,
        kind: &str,
        privileges: &[Privilege],
        objects: &[String],
        grantee: &Grantee,
        sql: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        let names = |native: bool| {
            let chosen =
                privileges.iter().filter(move |privilege| is_native(kind, &privilege.name) == native);
            chosen.map(|privilege| privilege.name.to_uppercase()).collect::<Vec<_>>()
        };
        let extra = names(false);
        for object in objects {
            let plain = literal(&object.replace('"', ""));
            sql.extend(self.kept(kind, &plain, &kind.to_uppercase(), &extra, grantee));
        }
        if names(true).is_empty() {
            return Ok(());
        }
        let (whole, columns): (Vec<_>, Vec<_>) = privileges
            .iter()
            .filter(|privilege| is_native(kind, &privilege.name))
            .partition(|privilege| privilege.columns.is_none());
        if !whole.is_empty() {
            let list: Vec<&str> =
                whole.iter().map(|privilege| postgres_name(kind, &privilege.name)).collect();
            if kind == "table" && self.giving && grantee.kind != "public" {
                let tables: Vec<String> =
                    objects.iter().map(|object| format!("{}::regclass", literal(object))).collect();
                let texts: Vec<String> = list.iter().map(|name| format!("'{name}'")).collect();
                let oid = format!("{}::regrole", literal(&grantee.role()));
                sql.push(format!(
                    "PERFORM standin.table_grant(ARRAY[{}], ARRAY[{}], {oid})",
                    tables.join(", "),
                    texts.join(", ")
                ));
            }
            let on =
                if kind == "all" { objects.join(", ") } else { format!("{kind} {}", objects.join(", ")) };
            sql.push(self.native(&list.join(", "), &on, grantee));
        }
        for privilege in columns {
            self.on_columns(kind, privilege, objects, grantee, sql)?;
        }
        Ok(())
    }

    /// One privilege on columns of these tables.
    fn on_columns(
        &self,
        kind: &str,
        privilege: &Privilege,
        objects: &[String],
        grantee: &Grantee,
        sql: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        if kind != "table" || !["select", "update"].contains(&privilege.name.as_str()) || grantee.with_option
        {
            return Err(syntax("columns have SELECT and UPDATE only, without grant option"));
        }
        let name = privilege.name.to_uppercase();
        let columns = privilege.columns.as_deref().unwrap_or_default();
        for object in objects {
            let statement = self.native(&format!("{name} ({columns})"), &format!("TABLE {object}"), grantee);
            let (which, oid) = (literal(object), literal(&grantee.role()));
            let held = format!("standin.has_table_grant({which}::regclass, '{name}', {oid}::regrole)");
            // A privilege on the whole table: granting it on a column has no effect, revoking it there is an error.
            sql.push(match self.giving {
                true => format!("IF NOT {held} THEN {statement}; END IF"),
                false => format!("IF {held} THEN PERFORM standin.refuse('42501', 'the privilege is on the whole table'); END IF; {statement}"),
            });
        }
        Ok(())
    }

    pub(super) fn native(&self, privileges: &str, on: &str, grantee: &Grantee) -> String {
        let (role, option) = (grantee.role(), if grantee.with_option { " WITH GRANT OPTION" } else { "" });
        match (self.giving, self.only_option) {
            (true, _) => format!("GRANT {privileges} ON {on} TO {role}{option}"),
            (false, true) => format!("REVOKE GRANT OPTION FOR {privileges} ON {on} FROM {role}"),
            (false, false) => format!("REVOKE {privileges} ON {on} FROM {role}"),
        }
    }

    /// A privilege that PostgreSQL does not have. The object is an SQL expression.
    pub(super) fn kept(
        &self,
        kind: &str,
        object: &str,
        scope: &str,
        privileges: &[String],
        grantee: &Grantee,
    ) -> Vec<String> {
        let call = |privilege: &String| {
            let what = format!("'{kind}', {object}, '{scope}', '{privilege}', {}", grantee.arguments());
            match self.giving {
                true => format!("PERFORM standin.give({what}, {})", grantee.with_option),
                false => format!("PERFORM standin.take({what}, {})", self.only_option),
            }
        };
        privileges.iter().map(call).collect()
    }
}

/// Whether PostgreSQL has this privilege on this kind of thing, under whatever name.
fn is_native(kind: &str, privilege: &str) -> bool {
    match kind {
        "schema" => ["usage", "create", "all"].contains(&privilege),
        "database" => ["create", "temp", "temporary", "all"].contains(&privilege),
        "datashare" | "model" => false,
        _ => true,
    }
}

pub(super) fn postgres_name<'a>(kind: &str, privilege: &'a str) -> &'a str {
    match (kind, privilege) {
        ("table" | "all" | "tables", "drop") => "TRIGGER",
        ("table" | "all" | "tables", "alter") => "MAINTAIN",
        (_, "select") => "SELECT",
        (_, "update") => "UPDATE",
        _ => privilege,
    }
}

pub(super) fn privilege(cursor: &mut Cursor<'_>, session: &Session) -> Result<Privilege, Refusal> {
    let mut name = cursor.word()?;
    while let Some(Token::Word(next)) = cursor.peek() {
        // Privileges of several words: CREATE USER, ALTER DEFAULT PRIVILEGES, ALL PRIVILEGES.
        if ["on", "to", "from", "for"].contains(&next.as_str()) {
            break;
        }
        name = format!("{name} {}", cursor.word()?);
    }
    if name == "all privileges" {
        name = "all".to_owned();
    }
    let columns = match cursor.peek() {
        Some(token) if token.is("(") => Some(folded(cursor.parenthesised()?, session)),
        _ => None,
    };
    Ok(Privilege { name, columns })
}

fn object(cursor: &mut Cursor<'_>, session: &Session) -> Result<String, Refusal> {
    let path = cursor.path()?;
    Ok(path.iter().map(|name| identifier(&session.folded(name))).collect::<Vec<_>>().join("."))
}

fn signature(cursor: &mut Cursor<'_>, session: &Session) -> Result<String, Refusal> {
    let name = object(cursor, session)?;
    Ok(format!("{name}({})", spell(cursor.parenthesised()?)))
}

fn folded(tokens: &[Token], session: &Session) -> String {
    let fold = |token: &Token| match token {
        Token::Name(name) => Token::Name(session.folded(name)),
        other => other.clone(),
    };
    spell(&tokens.iter().map(fold).collect::<Vec<_>>())
}
