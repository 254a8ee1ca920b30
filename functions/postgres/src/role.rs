//! The two accounts of a pair, as the catalogs describe them.

use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use wire_postgres::connect::Session;

use crate::statement::catalog;
use crate::writer::explain;

/// An account's attributes: the keyword, and whether a session has the attribute if it acts as the account. (PostgreSQL checks
/// the role that a session acts as. Only for REPLICATION it checks the role that logged in.)
pub(crate) const ATTRIBUTES: [(&str, bool); 5] = [
    ("SUPERUSER", true),
    ("CREATEROLE", true),
    ("CREATEDB", true),
    ("REPLICATION", false),
    ("BYPASSRLS", true),
];

pub(crate) struct Role {
    pub(crate) name: String,
    /// In the order of `ATTRIBUTES`.
    pub(crate) attributes: [bool; 5],
    pub(crate) inherits: bool,
    pub(crate) connection_limit: String,
    pub(crate) valid_until: String,
    pub(crate) expired: bool,
    pub(crate) comment: String,
    /// The role that its sessions act as in this database.
    pub(crate) acts_as: String,
}

/// Both accounts of a pair. The alternate may not exist yet.
pub(crate) struct Roles {
    pub(crate) original: Role,
    pub(crate) alternate: Option<Role>,
    /// The server's major version.
    pub(crate) version: u32,
}

impl Roles {
    /// Reads both accounts. The original must exist.
    pub(crate) async fn read(
        job: &Job<'_>,
        session: &Session,
        original: &str,
        alternate: &str,
    ) -> Result<Roles> {
        let sql = catalog::roles([original, alternate]);
        let rows = session.run(job, "say what the accounts are", &sql, &explain).await?;
        let version = rows.first().and_then(|row| row.last()?.as_deref()?.parse().ok()).unwrap_or_default();
        let mut roles = rows.into_iter().map(role).collect::<Option<Vec<_>>>().ok_or_else(not_understood)?;
        let mut take = |name: &str| {
            roles.iter().position(|role| role.name == name).map(|found| roles.swap_remove(found))
        };
        let alternate = take(alternate);
        let original = take(original).ok_or_else(|| {
            let what = format!("the original account {original:?}, which the pair is made after, does not exist");
            Error::new(Kind::NotOurs, what).remedy(
                "if the secret's user is itself the original, name the other one: put \"alternate_username\" into the secret",
            )
        })?;
        Ok(Roles { original, alternate, version })
    }
}

impl Role {
    /// A role with CREATE ROLE's defaults.
    pub(crate) fn fresh(name: &str) -> Role {
        Role {
            name: name.to_owned(),
            attributes: [false; 5],
            inherits: true,
            connection_limit: "-1".to_owned(),
            valid_until: "infinity".to_owned(),
            expired: false,
            comment: String::new(),
            acts_as: name.to_owned(),
        }
    }
}

fn role(row: Vec<Option<String>>) -> Option<Role> {
    let mut texts = row.into_iter().map(Option::unwrap_or_default);
    let name = texts.next()?;
    let mut flag = || Some(texts.next()? == "t");
    let attributes = [flag()?, flag()?, flag()?, flag()?, flag()?];
    let inherits = flag()?;
    Some(Role {
        name,
        attributes,
        inherits,
        connection_limit: texts.next()?,
        valid_until: texts.next()?,
        expired: texts.next()? == "t",
        comment: texts.next()?,
        acts_as: texts.next()?,
    })
}

/// The error for catalogs that answer in another shape than PostgreSQL's.
pub(crate) fn not_understood() -> Error {
    Error::new(Kind::ServerRefused, "the server's catalogs answered in an unknown shape")
        .remedy("this function rotates PostgreSQL 14 and newer; point the secret at such a server")
}
