//! Logging in, and what each refusal means.

use std::time::Duration;

use rotation::database::account::Account;
use rotation::database::admin::Admin;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::target::Login;
use wire_postgres::connect::{self, Dialect, Entrance, Session};

use crate::statement;

/// The database where the secret names none: AWS's default.
const DBNAME: &str = "dev";

/// Redshift still has PostgreSQL 8.0's codes: a wrong password is told from a closed door by the words only. Its leader
/// node takes its time with grants.
static DIALECT: Dialect = Dialect {
    name: "Redshift",
    is_wrong_password: |code, words| {
        code == "28P01" || code == "28000" && words.starts_with("password authentication failed")
    },
    let_in: "see the server's words: a cluster with require_ssl refuses \"ssl\": false, and a database may be closed to the user",
    statement: Duration::from_secs(25),
};

/// Logs in with what an account says: on the server that an admin would change, or where the secret says.
pub(crate) async fn login(job: &Job<'_>, account: &Account, on: Option<&Admin>) -> Result<Login<Session>> {
    let entrance = Entrance {
        dialect: &DIALECT,
        server: on.map_or(&account.server, |admin| &admin.server),
        username: &account.username,
        password: &account.password,
        dbname: account.dbname.as_deref().unwrap_or(DBNAME),
    };
    connect::login(job, &entrance).await
}

/// Logs the admin in, in a database or in the secret's own.
pub(crate) async fn admin(job: &Job<'_>, admin: &Admin, dbname: Option<&str>) -> Result<Session> {
    let entrance = Entrance {
        dialect: &DIALECT,
        server: &admin.server,
        username: &admin.username,
        password: &admin.password,
        dbname: dbname.or(admin.dbname.as_deref()).unwrap_or(DBNAME),
    };
    let session = match connect::login(job, &entrance).await? {
        Login::Accepted(session) => session,
        Login::Rejected(words) => {
            let what = format!("the admin secret {} does not log in", admin.secret_name);
            return Err(Error::new(Kind::CredentialRejected, what).cause(words).remedy(
                "if the admin's secret is being rotated this very moment, Secrets Manager's next try works; if not, correct it",
            ));
        }
    };
    session.run(job, "begin the admin's session", statement::BEGIN, &explain).await?;
    Ok(session)
}

/// What the refusals mean that users of this target meet.
pub(crate) fn explain(code: &str) -> Option<(Kind, String)> {
    let (kind, remedy) = match code {
        "42501" => (
            Kind::ServerRefused,
            "who acts here lacks a permission: a user may change its own password only; an admin needs ALTER USER, and must be a superuser for alternating users",
        ),
        "22023" => (
            Kind::ServerRefused,
            "the server refused the new password: see its words, remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate again",
        ),
        "40001" | "40P01" | "55P03" | "57014" => (
            Kind::Conflict,
            "another session changed the same users or privileges, or the cluster is overloaded; Secrets Manager tries again",
        ),
        "3F000" | "42P01" | "42704" | "42710" | "42883" => (
            Kind::Conflict,
            "something was made or dropped while it was looked at; Secrets Manager tries again",
        ),
        _ => return None,
    };
    Some((kind, remedy.to_owned()))
}
