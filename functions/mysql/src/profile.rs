//! An account at the server, apart from its privileges: how it authenticates, and its limits, policies and attributes.

use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use serde_json::{Map, Value};

use crate::account::Name;
use crate::connect::Session;
use crate::refusal;
use crate::statement::{self, literal};
use crate::stored::{self, Method};

/// The attribute that marks an account as a secret's. Writing it needs CREATE USER (MySQL manual, "ALTER USER").
pub(crate) const MARK: &str = "turnlock";

/// The attribute that an unfinished account carries beside the mark.
pub(crate) const UNFINISHED: &str = "turnlock_unfinished";

/// An account as the server keeps it.
pub(crate) struct Profile {
    /// How the account authenticates, in order. MySQL has only one way.
    pub methods: Vec<Method>,
    /// TLS requirements, limits and password policies as clauses of `ALTER USER`. Defaults are written out.
    pub options: String,
    /// MySQL's comment and attributes, with our mark.
    pub attributes: Map<String, Value>,
    /// MySQL: how many wrong logins lock the account; `None` if none do.
    pub bears: Option<u32>,
    /// Whether the account is locked.
    pub locked: bool,
}

impl Profile {
    /// Reads an account; `None` if it does not exist. Needs SELECT on the mysql schema.
    pub(crate) async fn read(job: &Job<'_>, session: &mut Session, name: &Name) -> Result<Option<Profile>> {
        let doing = format!("describe the account {name}");
        let mariadb = session.server.is_mariadb();
        let sql = if mariadb {
            statement::mariadb_account(name)
        } else {
            statement::mysql_account(name, session.server)
        };
        let rows = session.run(job, &doing, &sql, refusal::statement).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        if !mariadb {
            return Ok(Some(mysql(row, session.server.has_login_locks())));
        }
        let json = row.into_iter().next().flatten().unwrap_or_default();
        let created = session.run(job, &doing, &statement::created(name), refusal::statement).await?;
        let created = created.into_iter().next().and_then(|row| row.into_iter().next()?).unwrap_or_default();
        mariadb_profile(&json, stored::methods(&created)?).map(Some)
    }

    /// Reads an account that must exist.
    pub(crate) async fn of(job: &Job<'_>, session: &mut Session, name: &Name) -> Result<Profile> {
        Profile::read(job, session, name).await?.ok_or_else(|| {
            Error::new(Kind::ServerRefused, format!("there is no account {name}"))
                .remedy("correct \"hosts\" in the secret, or make the account")
        })
    }

    /// Whether the account carries this secret's mark.
    pub(crate) fn is_marked(&self, secret_arn: &str, name: &Name) -> bool {
        self.attributes.get(MARK).and_then(Value::as_str) == Some(secret_arn)
            || self.methods == [Method::native(&stored::placeholder(secret_arn, name))]
            || self.is_closed(secret_arn, name)
    }

    /// Whether a rotation that failed left this account unfinished. An account that an admin has marked does not count, even if
    /// nobody can log in to it.
    pub(crate) fn is_unfinished(&self, secret_arn: &str, name: &Name) -> bool {
        self.is_closed(secret_arn, name)
            || (self.attributes.contains_key(UNFINISHED) && self.is_marked(secret_arn, name))
    }

    /// Whether the account has an authentication that only an unfinished account has.
    fn is_closed(&self, secret_arn: &str, name: &Name) -> bool {
        let password = stored::placeholder_password(secret_arn, name);
        self.methods == [Method::native(&stored::unfinished(secret_arn, name))]
            || (self.locked && matches!(self.methods.as_slice(), [method] if method.is_opened_by(&password)))
    }

    /// Whether the server stores this password for the account. A hash of an unknown plugin counts as no.
    pub(crate) fn stores(&self, password: &Secret) -> bool {
        self.methods.iter().any(|method| method.is_opened_by(password))
    }

    /// The patch that makes another account's attributes equal to these, without the ones that this function writes itself.
    pub(crate) fn attribute_patch(&self, other: &Profile) -> Option<String> {
        let is_ours = |key: &String| [MARK, UNFINISHED].contains(&key.as_str());
        let mut patch = Map::new();
        for (key, value) in self.attributes.iter().filter(|(key, _)| !is_ours(key)) {
            if other.attributes.get(key) != Some(value) {
                patch.insert(key.clone(), value.clone());
            }
        }
        for key in other.attributes.keys().filter(|key| !is_ours(key) && !self.attributes.contains_key(*key))
        {
            patch.insert(key.clone(), Value::Null);
        }
        (!patch.is_empty()).then(|| Value::Object(patch).to_string())
    }
}

/// Reads a row of `statement::mysql_account`.
fn mysql(row: Vec<Option<String>>, has_login_locks: bool) -> Profile {
    let mut columns = row.into_iter();
    let mut next = || columns.next().flatten();
    let method = Method { plugin: next().unwrap_or_default(), stored: next() };
    let [kind, cipher, issuer, subject] = [next(), next(), next(), next()].map(Option::unwrap_or_default);
    let mut options = requirement(&kind, &cipher, &issuer, &subject);
    let limits =
        ["MAX_QUERIES_PER_HOUR", "MAX_UPDATES_PER_HOUR", "MAX_CONNECTIONS_PER_HOUR", "MAX_USER_CONNECTIONS"];
    options.push_str(" WITH");
    for limit in limits {
        options.push_str(&format!(" {limit} {}", next().unwrap_or_default()));
    }
    options.push_str(&expiry(next().as_deref()));
    let number = |value: Option<String>, unit: &str| {
        value.map_or("DEFAULT".to_owned(), |number| format!("{number}{unit}"))
    };
    options.push_str(&format!(" PASSWORD HISTORY {}", number(next(), "")));
    options.push_str(&format!(" PASSWORD REUSE INTERVAL {}", number(next(), " DAY")));
    options.push_str(match next().as_deref() {
        None => " PASSWORD REQUIRE CURRENT DEFAULT",
        Some("Y") => " PASSWORD REQUIRE CURRENT",
        Some(_) => " PASSWORD REQUIRE CURRENT OPTIONAL",
    });
    let locked = next().as_deref() == Some("Y");
    let kept: Value = next().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let locking = |key: &str| kept["Password_locking"][key].as_i64().unwrap_or(0);
    let (attempts, days) = (locking("failed_login_attempts"), locking("password_lock_time_days"));
    let days_text = if days < 0 { "UNBOUNDED".to_owned() } else { days.to_string() };
    if has_login_locks {
        options.push_str(&format!(" FAILED_LOGIN_ATTEMPTS {attempts} PASSWORD_LOCK_TIME {days_text}"));
    }
    let bears = u32::try_from(attempts).ok().filter(|attempts| *attempts > 0 && days != 0);
    let attributes = kept["metadata"].as_object().cloned().unwrap_or_default();
    Profile { methods: vec![method], options, attributes, bears, locked }
}

/// Reads the JSON of MariaDB's `mysql.global_priv` (MariaDB documentation, "mysql.global_priv Table").
fn mariadb_profile(json: &str, methods: Vec<Method>) -> Result<Profile> {
    let kept: Value = serde_json::from_str(json)
        .map_err(|_| Error::new(Kind::Bug, "what the server keeps about the account is not understood"))?;
    let text = |key: &str| kept[key].as_str().unwrap_or_default();
    let kind = match kept["ssl_type"].as_i64() {
        Some(1) => "ANY",
        Some(2) => "X509",
        Some(3) => "SPECIFIED",
        _ => "",
    };
    let mut options = requirement(kind, text("ssl_cipher"), text("x509_issuer"), text("x509_subject"));
    options.push_str(" WITH");
    for (limit, key) in [
        ("MAX_QUERIES_PER_HOUR", "max_questions"),
        ("MAX_UPDATES_PER_HOUR", "max_updates"),
        ("MAX_CONNECTIONS_PER_HOUR", "max_connections"),
        ("MAX_USER_CONNECTIONS", "max_user_connections"),
        ("MAX_STATEMENT_TIME", "max_statement_time"),
    ] {
        options.push_str(&format!(" {limit} {}", kept[key].as_f64().unwrap_or(0.0)));
    }
    let lifetime = kept["password_lifetime"].as_i64().filter(|days| *days >= 0).map(|days| days.to_string());
    options.push_str(&expiry(lifetime.as_deref()));
    let locked = kept["account_locked"].as_bool().unwrap_or(false);
    Ok(Profile { methods, options, attributes: Map::new(), bears: None, locked })
}

fn requirement(kind: &str, cipher: &str, issuer: &str, subject: &str) -> String {
    match kind {
        "" => "REQUIRE NONE".to_owned(),
        "ANY" => "REQUIRE SSL".to_owned(),
        "X509" => "REQUIRE X509".to_owned(),
        _ => {
            let parts = [("CIPHER", cipher), ("ISSUER", issuer), ("SUBJECT", subject)];
            let parts = parts.iter().filter(|(_, text)| !text.is_empty());
            let parts: Vec<String> = parts.map(|(word, text)| format!("{word} {}", literal(text))).collect();
            format!("REQUIRE {}", parts.join(" AND "))
        }
    }
}

fn expiry(days: Option<&str>) -> String {
    match days {
        None => " PASSWORD EXPIRE DEFAULT".to_owned(),
        Some("0") => " PASSWORD EXPIRE NEVER".to_owned(),
        Some(days) => format!(" PASSWORD EXPIRE INTERVAL {days} DAY"),
    }
}
