//! The rights of two users, read from Redshift's system views. The views list only grants. For objects that a user owns, this
//! file reads the catalog tables and adds an owner's privileges.

mod query;
mod row;
mod shown;

use std::collections::HashSet;

use rotation::engine::job::Job;
use rotation::error::Result;
use wire_postgres::connect::Session;

use crate::connect::explain;
use crate::right::{Frame, Right, Rights, Terms};
use query::{About, Source};
use row::Row;

/// One of two users, in one database.
#[derive(Default)]
pub(crate) struct Holdings {
    /// Its grants, and an owner's privileges on the objects it owns.
    pub(crate) rights: Rights,
    /// The objects that it owns, as statements spell them.
    pub(crate) owned: Vec<String>,
    /// Row-level security and masking policies attached to it.
    pub(crate) policies: Vec<String>,
}

/// Two users' holdings.
#[derive(Default)]
pub(crate) struct BothUsers {
    pub(crate) original: Holdings,
    pub(crate) alternate: Holdings,
    /// Grants of the first user that cannot be copied, because this file does not understand them.
    pub(crate) not_understood: Vec<String>,
    /// Whether this was read from one database. Otherwise it is about the cluster.
    pub(crate) is_of_database: bool,
}

/// Reads the rights that belong to the cluster: groups, roles, databases, datashares, IAM roles.
pub(crate) async fn of_cluster(
    job: &Job<'_>,
    session: &Session,
    users: [&str; 2],
    databases: &[String],
) -> Result<BothUsers> {
    read(job, session, &About { users, databases }, query::CLUSTER).await
}

/// Reads the rights in the session's database.
pub(crate) async fn of_database(
    job: &Job<'_>,
    session: &Session,
    users: [&str; 2],
    database: &String,
) -> Result<BothUsers> {
    let about = About { users, databases: std::slice::from_ref(database) };
    let mut seen = read(job, session, &about, query::DATABASE).await?;
    if let Some([original, alternate]) = shown::read(job, session, users, database).await? {
        for (holdings, rights) in [(&mut seen.original, original), (&mut seen.alternate, alternate)] {
            for right in rights {
                holdings.rights.entry(right).or_default();
            }
        }
        settle_ownership(&mut seen);
    }
    Ok(BothUsers { is_of_database: true, ..seen })
}

/// The cluster's own databases that users can connect to. They keep the privileges on databases made from datashares.
pub(crate) async fn databases(job: &Job<'_>, session: &Session) -> Result<Vec<String>> {
    let rows = session.run(job, "list its databases", query::DATABASES, &explain).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

async fn read(
    job: &Job<'_>,
    session: &Session,
    about: &About<'_>,
    sources: &[(&str, &str, Source)],
) -> Result<BothUsers> {
    let mut seen = BothUsers::default();
    let procedures = procedures(job, session).await?;
    for (doing, sql, source) in sources {
        let rows = session.run(job, doing, &about.fill(sql), &explain).await?;
        for columns in rows {
            let row = Row::new(columns);
            let is_original = row.text(0) == about.users[0];
            let (right, terms) = match source.understand(&row, &procedures) {
                Some(found) => found,
                None => {
                    if is_original {
                        seen.not_understood.push(format!("{doing}: {}", row.all()));
                    }
                    continue;
                }
            };
            let holdings = if is_original { &mut seen.original } else { &mut seen.alternate };
            match source {
                Source::Policy => holdings.policies.push(right.object),
                Source::Owned(_) => holdings.own(right),
                // The same privilege from two grantors counts once, with the option if either has it.
                _ => holdings.rights.entry(right).or_default().option |= terms.option,
            }
        }
    }
    settle_ownership(&mut seen);
    Ok(seen)
}

/// The functions that are procedures. The view of privileges does not tell them apart.
async fn procedures(job: &Job<'_>, session: &Session) -> Result<HashSet<String>> {
    let rows = session.run(job, "tell procedures from functions", query::PROCEDURES, &explain).await?;
    Ok(rows.into_iter().map(Row::new).map(|row| row.signature(0)).collect())
}

impl Holdings {
    /// Adds an owned object, with everything that could be granted on it.
    fn own(&mut self, right: Right) {
        self.owned.push(format!("{} {}", right.frame.keyword(), right.object));
        for privilege in right.privilege.split(", ") {
            let right = Right { privilege: privilege.to_owned(), ..right.clone() };
            // Nothing tells whether the alternate has these two with the option, so they would be granted at every rotation.
            let option = !["ALTER", "TRUNCATE"].contains(&privilege);
            self.rights.insert(right, Terms { option, by_owning: true });
        }
    }
}

/// Leaves out both users' rights on the alternate's own objects: an owner needs none, and can lose none.
fn settle_ownership(seen: &mut BothUsers) {
    let own: HashSet<&String> = seen.alternate.owned.iter().collect();
    let is_owned = |right: &Right| own.contains(&format!("{} {}", right.frame.keyword(), right.object));
    seen.original.rights.retain(|right, _| !is_owned(right));
    seen.alternate.rights.retain(|right, _| !is_owned(right));
}

impl Frame {
    fn keyword(&self) -> &str {
        match self {
            Frame::On(keyword) => keyword,
            _ => "",
        }
    }
}
