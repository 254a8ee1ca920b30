//! A user, apart from its privileges: the options of ALTER USER, its settings, and the mark.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use rotation::database::alternation::Equality;
use rotation::database::guard;
use rotation::engine::job::Job;
use rotation::error::Result;
use rotation::value::encode::hex;
use wire_postgres::connect::Session;

use crate::connect::explain;
use crate::statement::literal;

pub(crate) struct User {
    pub(crate) name: String,
    createdb: bool,
    superuser: bool,
    /// A number, or UNLIMITED.
    connection_limit: String,
    /// RESTRICTED or UNRESTRICTED.
    syslog_access: String,
    /// Seconds; 0 if the user has no timeout of its own.
    session_timeout: String,
    /// The user's name at an identity provider. No two users can have the same one, so it is never copied.
    pub(crate) external_id: String,
    /// The time at which its password expires.
    pub(crate) valid_until: String,
    settings: BTreeMap<String, String>,
    pub(crate) marked: bool,
}

/// The secret's mark: the name of a group whose members this secret may change. Only a superuser can create a group or add a member. The
/// name is a digest, because an ARN is longer than a name may be.
pub(crate) fn mark(secret_arn: &str) -> String {
    let hash = digest::digest(&digest::SHA256, guard::mark(secret_arn).as_bytes());
    format!("turnlock_{}", hex(&hash.as_ref()[..16]))
}

/// Reads those of these users that exist. (Only superusers see all rows and columns: "SVV_USER_INFO",
/// "PG_USER". Serverless has no SVL_USER_INFO.)
pub(crate) async fn read(
    job: &Job<'_>,
    session: &Session,
    names: [&str; 2],
    mark: &str,
) -> Result<Vec<User>> {
    let list = format!("{}, {}", literal(names[0]), literal(names[1]));
    let options = format!(
        "SELECT user_name, createdb, superuser, connection_limit, syslog_access, session_timeout, external_user_id \
         FROM svv_user_info WHERE user_name IN ({list})"
    );
    let more = format!("SELECT usename, valuntil, useconfig FROM pg_user WHERE usename IN ({list})");
    let marked = format!(
        "SELECT u.usename FROM pg_user u, pg_group g WHERE u.usesysid = ANY(g.grolist) AND g.groname = {}",
        literal(mark)
    );
    let options = session.run(job, "read the users", &options, &explain).await?;
    let more = session.run(job, "read the users' settings", &more, &explain).await?;
    let marked = session.run(job, "read the secret's mark", &marked, &explain).await?;
    let users = options.into_iter().map(|row| {
        let text = |column: usize| row.get(column).cloned().flatten().unwrap_or_default();
        let name = text(0);
        let is_it =
            |row: &&Vec<Option<String>>| row.first().is_some_and(|found| found.as_deref() == Some(&*name));
        let rest = more.iter().find(is_it);
        let rest =
            |column: usize| rest.and_then(|row| row.get(column).cloned().flatten()).unwrap_or_default();
        User {
            createdb: text(1) == "t",
            superuser: text(2) == "t",
            connection_limit: text(3).to_uppercase(),
            syslog_access: text(4).to_uppercase(),
            session_timeout: text(5),
            external_id: text(6),
            valid_until: if rest(1).is_empty() { "infinity".to_owned() } else { rest(1) },
            settings: settings(&rest(2)),
            marked: marked.iter().any(|row| is_it(&row)),
            name,
        }
    });
    Ok(users.collect())
}

impl User {
    /// A user as CREATE USER makes it, with nothing but the mark.
    pub(crate) fn fresh(name: &str) -> User {
        User {
            name: name.to_owned(),
            createdb: false,
            superuser: false,
            connection_limit: "UNLIMITED".to_owned(),
            syslog_access: "RESTRICTED".to_owned(),
            session_timeout: "0".to_owned(),
            external_id: String::new(),
            valid_until: "infinity".to_owned(),
            settings: BTreeMap::new(),
            marked: true,
        }
    }

    /// The options of ALTER USER that make this user equal to the other one.
    pub(crate) fn options_to_become(&self, other: &User, sync: Equality) -> Vec<String> {
        let exact = sync == Equality::Exact;
        let mut options = Vec::new();
        let mut flag = |ours: bool, theirs: bool, word: &str| match (ours, theirs) {
            (false, true) => options.push(word.to_owned()),
            (true, false) if exact => options.push(format!("NO{word}")),
            _ => {}
        };
        flag(self.createdb, other.createdb, "CREATEDB");
        flag(self.superuser, other.superuser, "CREATEUSER");
        // A superuser sees everything, whatever the option says.
        if self.syslog_access != other.syslog_access && !other.superuser {
            match other.syslog_access.as_str() {
                "UNRESTRICTED" => options.push("SYSLOG ACCESS UNRESTRICTED".to_owned()),
                _ if exact => options.push("SYSLOG ACCESS RESTRICTED".to_owned()),
                _ => {}
            }
        }
        if self.connection_limit != other.connection_limit {
            let limit = other.connection_limit.parse::<u32>();
            options
                .push(limit.map_or("CONNECTION LIMIT UNLIMITED".into(), |limit| {
                    format!("CONNECTION LIMIT {limit}")
                }));
        }
        if self.session_timeout != other.session_timeout {
            options.push(match other.session_timeout.parse::<u32>() {
                Ok(seconds) if seconds > 0 => format!("SESSION TIMEOUT {seconds}"),
                _ => "RESET SESSION TIMEOUT".to_owned(),
            });
        }
        for (name, value) in &other.settings {
            if self.settings.get(name) != Some(value) {
                options.push(format!("SET {name} TO {}", setting_value(name, value)));
            }
        }
        for name in self.settings.keys().filter(|name| exact && !other.settings.contains_key(*name)) {
            options.push(format!("RESET {name}"));
        }
        options
    }
}

/// The settings of a user from its row, an array of `name=value`. A name that is not a setting's is left out.
fn settings(array: &str) -> BTreeMap<String, String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.')
    };
    let pairs = elements(array).into_iter().filter_map(|element| {
        let (name, value) = element.split_once('=')?;
        let name = name.to_lowercase();
        is_name(&name).then(|| (name, value.to_owned()))
    });
    pairs.collect()
}

/// The elements of an array in PostgreSQL's text form: `{a,"b, \"c\""}`.
fn elements(array: &str) -> Vec<String> {
    let inner = array.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    split(inner, ',', '\\')
}

/// Splits a text at each sign outside double quotes, and removes the quotes.
fn split(text: &str, sign: char, escape: char) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut all = vec![String::new()];
    let mut is_quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let last = all.last_mut().expect("there is always one");
        match c {
            '"' if is_quoted && escape == '"' && rest.next_if_eq(&'"').is_some() => last.push('"'),
            '"' => is_quoted = !is_quoted,
            _ if c == escape => last.extend(rest.next()),
            _ if c == sign && !is_quoted => all.push(String::new()),
            _ => last.push(c),
        }
    }
    all
}

/// A setting's value. A search path is a list of names, each written as a text.
fn setting_value(name: &str, value: &str) -> String {
    if name != "search_path" {
        return literal(value);
    }
    let names = split(value, ',', '"');
    names.iter().map(|name| literal(name.trim())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_way_there_and_back() {
        let read = settings(
            r#"{"search_path=a, \"$user\", \"b\"\"c\"",query_group=big,"x; DROP=1","timezone=it's"}"#,
        );
        let names: Vec<&str> = read.keys().map(String::as_str).collect();
        assert_eq!(names, ["query_group", "search_path", "timezone"]);
        assert_eq!(setting_value("search_path", &read["search_path"]), "'a', '$user', 'b\"c'");
        assert_eq!(setting_value("timezone", &read["timezone"]), "'it''s'");
        assert!(settings("").is_empty() && settings("{}").is_empty());
    }

    #[test]
    fn options_are_those_in_which_the_users_differ() {
        let mut original = User::fresh("a");
        let alternate = User::fresh("a_clone");
        assert!(alternate.options_to_become(&original, Equality::Exact).is_empty());
        original.createdb = true;
        original.connection_limit = "7".into();
        original.session_timeout = "120".into();
        original.syslog_access = "UNRESTRICTED".into();
        original.settings.insert("query_group".into(), "big".into());
        let there = [
            "CREATEDB",
            "SYSLOG ACCESS UNRESTRICTED",
            "CONNECTION LIMIT 7",
            "SESSION TIMEOUT 120",
            "SET query_group TO 'big'",
        ];
        assert_eq!(alternate.options_to_become(&original, Equality::Given), there);
        let back = [
            "NOCREATEDB",
            "SYSLOG ACCESS RESTRICTED",
            "CONNECTION LIMIT UNLIMITED",
            "RESET SESSION TIMEOUT",
            "RESET query_group",
        ];
        assert_eq!(original.options_to_become(&alternate, Equality::Exact), back);
        let limits = ["CONNECTION LIMIT UNLIMITED", "RESET SESSION TIMEOUT"];
        assert_eq!(original.options_to_become(&alternate, Equality::Given), limits);
    }

    #[test]
    fn a_mark_is_a_name_that_redshift_takes() {
        let mark = mark("arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/app-AbCdEf");
        assert_eq!(mark.len(), 41);
        assert!(mark.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    }
}
