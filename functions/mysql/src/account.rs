//! The fields of a secret for MySQL and MariaDB, in addition to those of all databases. An account's name is a user *and* a host
//! part: `app`@`10.0.%` is another account than `app`@`%`.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use rotation::database::account::{self, DatabaseAccount};
use rotation::database::family::Family;
use rotation::engine::credential::Credential;
use rotation::error::{Error, Kind, Result};
use rotation::value::document::{Document, missing};
use rotation::value::password::Rules;
use rotation::value::settings::Settings;
use rotation::value::strategy::Strategy;

/// The properties of every MySQL and MariaDB account.
pub(crate) const FAMILY: Family = Family {
    names: &["mysql", "aurora-mysql", "mariadb"],
    port: 3306,
    database: None,
    strategies: &[Strategy::SingleUser, Strategy::Admin, Strategy::AlternatingUsers, Strategy::DualPassword],
    // MariaDB takes 80 characters of up to four bytes. `Account::read` counts the characters.
    username_limit: 320,
    rules: Rules { lengths: 1..=255, length: 32, exclude: "/@\"'\\", never: "", mixed: false },
};

/// An account as a secret describes it.
pub struct Account {
    common: account::Account,
    /// The host parts to rotate; `None` means the host part that the server matches for this function.
    pub hosts: Option<Vec<String>>,
    /// With two passwords: whether the promotion discards the old password.
    pub discard_old: bool,
}

impl Deref for Account {
    type Target = account::Account;

    fn deref(&self) -> &account::Account {
        &self.common
    }
}

impl Borrow<account::Account> for Account {
    fn borrow(&self) -> &account::Account {
        &self.common
    }
}

impl DatabaseAccount for Account {
    fn read(document: &Document, settings: &Settings, family: &Family) -> Result<Account> {
        let common = account::Account::read(document, settings, family)?;
        let fields = document.fields()?;
        let limit = if common.engine == "mariadb" { 80 } else { 32 };
        for user in common.users() {
            // AWS's variable limits the name with the suffix; the server's own limit holds for all names.
            let alternate = common.alternation.as_ref().is_some_and(|pair| pair.alternate == user);
            let limit = settings.username_limit.filter(|_| alternate).unwrap_or(limit);
            fits(user, limit)?;
        }
        if common.engine == "mariadb" && common.strategy == Strategy::DualPassword && common.admin.is_none() {
            return Err(
                missing("masterarn").cause("on MariaDB only an admin can give an account two passwords")
            );
        }
        let hosts = match fields.value("hosts") {
            None | Some(serde_json::Value::Null) => None,
            Some(value) => Some(hosts(value)?),
        };
        if common.strategy == Strategy::SingleUser && hosts.as_ref().is_some_and(|hosts| hosts.len() > 1) {
            let what = "a user that acts for itself can change only the host part that it logs in as";
            return Err(Error::new(Kind::BadSecret, what)
                .remedy("leave \"hosts\" one entry, or let an admin act (strategy \"admin\")"));
        }
        Ok(Account { hosts, discard_old: fields.flag("discard_old")?.unwrap_or(false), common })
    }
}

impl Credential for Account {
    fn strategy(&self) -> Strategy {
        self.common.strategy
    }

    fn agree(&self, other: &Account) -> Result<()> {
        self.common.agree(&other.common)
    }

    fn may_be_followed_by(&self, pending: &Account) -> Result<()> {
        self.common.may_be_followed_by(&pending.common)
    }

    fn own_fields(&self) -> Vec<&str> {
        self.common.own_fields()
    }

    fn align_with(&mut self, current: &Account) {
        self.common.align_with(&current.common);
    }

    fn settles(&self) -> bool {
        self.common.strategy == Strategy::DualPassword
    }
}

impl Account {
    /// The accounts of this user to change. The proven account, which has logged in, comes last: the ladder takes its login as a sign
    /// that all of them were changed.
    pub fn names(&self, user: &str, proven: &Name) -> Vec<Name> {
        let listed = self.hosts.clone().unwrap_or_else(|| vec![proven.host.clone()]);
        let mut names: Vec<Name> = listed.iter().map(|host| Name::new(user, host)).collect();
        names.sort_by_key(|name| name.host == proven.host);
        names
    }
}

fn hosts(value: serde_json::Value) -> Result<Vec<String>> {
    match serde_json::from_value::<Vec<String>>(value) {
        Ok(hosts) if !hosts.is_empty() && hosts.iter().all(|host| !host.is_empty() && host.len() <= 255) => {
            // The servers keep host parts in lower case, and grants are compared by name.
            let (mut seen, mut hosts) = (BTreeSet::new(), hosts);
            hosts.iter_mut().for_each(|host| *host = host.to_lowercase());
            hosts.retain(|host| seen.insert(host.clone()));
            Ok(hosts)
        }
        _ => Err(Error::new(Kind::BadSecret, "the secret's \"hosts\" is not a list of host parts")
            .remedy("write it as [\"%\"] or [\"10.0.%\", \"10.1.%\"], or leave it out")),
    }
}

fn fits(user: &str, limit: usize) -> Result<()> {
    let length = user.chars().count();
    if length <= limit {
        return Ok(());
    }
    let what = format!("the user name {user:?} has {length} characters, and the limit is {limit}");
    Err(Error::new(Kind::BadSecret, what)
        .remedy("name the other user yourself (\"alternate_username\"); USERNAME_CHARACTER_LIMIT can only be lower than the server's"))
}

/// A user and a host part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The user.
    pub user: String,
    /// The host part.
    pub host: String,
}

impl Name {
    /// A name of these parts.
    pub fn new(user: &str, host: &str) -> Name {
        Name { user: user.to_owned(), host: host.to_owned() }
    }

    /// The name as `information_schema` spells it in the column GRANTEE: between quotes, with no character of it escaped.
    pub fn grantee(&self) -> String {
        format!("'{}'@'{}'", self.user, self.host)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}
