//! An account's privileges as single grants, so that the function can compare two accounts and change only what differs.

use std::collections::{BTreeMap, HashMap};

use rotation::database::difference;
use rotation::engine::job::Job;
use rotation::error::Kind::ServerRefused;
use rotation::error::{Error, Result};
use serde_json::Value;

use crate::account::Name;
use crate::answer::Columns;
use crate::connect::Session;
use crate::refusal;
use crate::statement::{self, identifier};

/// The kinds of grants, in the order in which they are given. Grants on everything come before the partial revokes that narrow them.
/// `GRANT OPTION` on everything comes before the dynamic privileges, which it would make grantable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A privilege on everything, a database, a table, columns or a routine.
    Privilege,
    /// A dynamic privilege, which carries a grant option of its own (MySQL).
    Dynamic,
    /// A partial revoke: a privilege on everything, but not in this database (MySQL).
    Restriction,
    /// A role.
    Role,
    /// The right to act as another account.
    Proxy,
    /// A role that is active from the login on.
    DefaultRole,
}

/// One grant, without its option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    /// Its kind.
    pub kind: Kind,
    /// Its object, in SQL; empty for roles.
    pub object: String,
    /// The privilege or role, in SQL.
    pub what: String,
}

/// Grants, each with whether its holder may pass it on.
pub(crate) type Grants = BTreeMap<Grant, bool>;

/// The difference between the alternate's grants and the original's.
pub(crate) type Difference = difference::Difference<Grant, bool>;

/// How many accounts are read at once, because the server goes through everybody's grants for each reading.
pub(crate) const TOGETHER: usize = 100;

/// Reads the grants of accounts, without those of their roles, in the accounts' order. What does not fit into one answer is read in
/// halves.
pub(crate) async fn read(job: &Job<'_>, session: &mut Session, names: &[&Name]) -> Result<Vec<Grants>> {
    let [first, ..] = names else { return Ok(Vec::new()) };
    let doing = match names.len() {
        1 => format!("list what {first} may do"),
        count => format!("list what {first} and {} others may do", count - 1),
    };
    let sql = statement::grants(names, session.server);
    let Some(rows) = session.run_if_it_fits(job, &doing, &sql, refusal::statement).await? else {
        if names.len() == 1 {
            let what = format!("{first} has more grants than fit into the function's memory");
            return Err(Error::new(ServerRefused, what).remedy("grant on the schema instead of its tables"));
        }
        let (one, other) = names.split_at(names.len() / 2);
        let mut grants = Box::pin(read(job, session, one)).await?;
        grants.extend(Box::pin(read(job, session, other)).await?);
        return Ok(grants);
    };
    let mut found: HashMap<String, Grants> = HashMap::new();
    for row in rows {
        // The views ignore case when they compare grantees. Every account has at least USAGE, in the view that `user` stands for.
        let Some(Some(grantee)) = row.get(1).cloned() else { continue };
        if row.first().and_then(Option::as_deref) == Some("user") {
            found.entry(grantee.clone()).or_default();
        }
        if let Some(grants) = found.get_mut(&grantee) {
            understand(grants, row, session.server.is_mariadb());
        }
    }
    let of = |name: &&Name| found.get(&name.grantee()).cloned().ok_or_else(|| unseen(session, name));
    names.iter().map(of).collect()
}

/// An admin that may not see other accounts gets an empty answer, and no error.
fn unseen(session: &Session, name: &Name) -> Error {
    let what = format!("{} does not show what {name} may do", session.place);
    Error::new(ServerRefused, what).remedy("let the admin see it: GRANT SELECT ON mysql.* TO the admin")
}

/// Reads one row: a tag, the grantee, three parts of a name, the grant, and whether it may be passed on.
fn understand(grants: &mut Grants, row: Columns, mariadb: bool) {
    let mut columns = row.into_iter().map(Option::unwrap_or_default);
    let mut next = || columns.next().unwrap_or_default();
    let (tag, _, a, b, c, what, option) = (next(), next(), next(), next(), next(), next(), next());
    let option = matches!(option.as_str(), "YES" | "Y" | "1");
    let role = |name: &str, host: &str| if mariadb { identifier(name) } else { Name::new(name, host).sql() };
    let mut add = |kind, object: String, what: String, option| {
        let passed_on = grants.entry(Grant { kind, object, what }).or_default();
        *passed_on |= option;
    };
    match tag.as_str() {
        "user" if !mariadb && what.contains('_') => add(Kind::Dynamic, "*.*".into(), what, option),
        "user" | "schema" | "table" | "column" => {
            let object = match tag.as_str() {
                "user" => "*.*".to_owned(),
                "schema" => format!("{}.*", identifier(&a)),
                _ => format!("{}.{}", identifier(&a), identifier(&b)),
            };
            if option {
                add(Kind::Privilege, object.clone(), "GRANT OPTION".into(), false);
            }
            if what != "USAGE" {
                let what = if tag == "column" { format!("{what} ({})", identifier(&c)) } else { what };
                add(Kind::Privilege, object, what, false);
            }
        }
        "routine" => {
            let object = format!("{c} {}.{}", identifier(&a), identifier(&b));
            for privilege in what.split(',').filter(|privilege| !privilege.is_empty()) {
                let privilege =
                    if privilege == "Grant" { "GRANT OPTION".into() } else { privilege.to_uppercase() };
                add(Kind::Privilege, object.clone(), privilege, false);
            }
        }
        "restrictions" => {
            let parsed: Value = serde_json::from_str(&what).unwrap_or_default();
            for entry in parsed.as_array().into_iter().flatten() {
                let object = format!("{}.*", identifier(entry["Database"].as_str().unwrap_or_default()));
                for privilege in
                    entry["Privileges"].as_array().into_iter().flatten().filter_map(Value::as_str)
                {
                    add(Kind::Restriction, object.clone(), privilege.to_owned(), false);
                }
            }
        }
        "role" => add(Kind::Role, String::new(), role(&a, &b), option),
        "proxy" => add(Kind::Proxy, Name::new(&a, &b).sql(), "PROXY".into(), option),
        "default" => add(Kind::DefaultRole, String::new(), role(&a, &b), false),
        _ => {}
    }
}

/// The grants that a difference adds to the alternate. These servers revoke a grant together with its option. So a grant with an
/// option too many is revoked, and then granted again without the option.
pub(crate) fn added(difference: &Difference) -> Grants {
    let again = difference.options_beyond.keys().map(|grant| (grant.clone(), false));
    difference.missing.clone().into_iter().chain(again).collect()
}

/// The grants that a difference takes from the alternate.
pub(crate) fn taken(difference: &Difference) -> Grants {
    difference.beyond.clone().into_iter().chain(difference.options_beyond.clone()).collect()
}

/// A statement, and the grants that it is about.
pub(crate) struct Change {
    /// The statement.
    pub sql: String,
    /// The grants that it gives or takes.
    pub about: Vec<Grant>,
}

/// The statements that give grants to an account. Grants on one object share a statement.
pub(crate) fn give(grants: &Grants, to: &Name) -> Vec<Change> {
    changes(grants, |first, option, list| {
        let passed_on = |words: &str| if option { format!(" WITH {words} OPTION") } else { String::new() };
        match first.kind {
            Kind::Privilege | Kind::Dynamic => {
                format!("GRANT {list} ON {} TO {}{}", first.object, to.sql(), passed_on("GRANT"))
            }
            Kind::Proxy => format!("GRANT PROXY ON {} TO {}{}", first.object, to.sql(), passed_on("GRANT")),
            Kind::Restriction => format!("REVOKE {list} ON {} FROM {}", first.object, to.sql()),
            Kind::Role => format!("GRANT {list} TO {}{}", to.sql(), passed_on("ADMIN")),
            Kind::DefaultRole => String::new(),
        }
    })
}

/// The statements that revoke grants from an account.
pub(crate) fn take(grants: &Grants, from: &Name) -> Vec<Change> {
    changes(grants, |first, _, list| match first.kind {
        Kind::Privilege | Kind::Dynamic => format!("REVOKE {list} ON {} FROM {}", first.object, from.sql()),
        Kind::Proxy => format!("REVOKE PROXY ON {} FROM {}", first.object, from.sql()),
        Kind::Restriction => format!("GRANT {list} ON {} TO {}", first.object, from.sql()),
        Kind::Role => format!("REVOKE {list} FROM {}", from.sql()),
        Kind::DefaultRole => String::new(),
    })
}

/// Groups the grants that fit into one statement. MariaDB takes one role at a time; other grants are grouped by object.
fn changes(grants: &Grants, statement: impl Fn(&Grant, bool, &str) -> String) -> Vec<Change> {
    let mut groups: Vec<(bool, Vec<Grant>)> = Vec::new();
    for (grant, option) in grants.iter().filter(|(grant, _)| grant.kind != Kind::DefaultRole) {
        let together = |(other, group): &&mut (bool, Vec<Grant>)| {
            other == option
                && !matches!(grant.kind, Kind::Role | Kind::Proxy)
                && group.first().is_some_and(|first| first.kind == grant.kind && first.object == grant.object)
        };
        match groups.last_mut().filter(|group| together(group)) {
            Some((_, group)) => group.push(grant.clone()),
            None => groups.push((*option, vec![grant.clone()])),
        }
    }
    let change = |(option, about): (bool, Vec<Grant>)| {
        let list: Vec<&str> = about.iter().map(|grant| grant.what.as_str()).collect();
        Change { sql: statement(&about[0], option, &list.join(", ")), about }
    };
    groups.into_iter().map(change).collect()
}

/// The grants in words, for the log: only names, never values.
pub(crate) fn words(grants: &Grants) -> String {
    let mut texts = Vec::new();
    for (Grant { kind, object, what }, option) in grants {
        let on = if object.is_empty() { String::new() } else { format!(" on {object}") };
        let option = if *option { ", to be passed on" } else { "" };
        texts.push(match kind {
            Kind::Restriction => format!("not {what}{on}"),
            Kind::Role => format!("role {what}{option}"),
            Kind::DefaultRole => format!("default role {what}"),
            Kind::Privilege | Kind::Dynamic | Kind::Proxy => format!("{what}{on}{option}"),
        });
    }
    texts.join("; ")
}
