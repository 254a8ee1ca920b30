//! The login, and the meaning of each refusal.

use std::time::Duration;

use rotation::database::dialect::Entrance;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Kind, Result};
use wire_postgres::ahead::Ahead;
use wire_postgres::connect::{self, Session, Variant};
use wire_postgres::known::Known;

/// Redshift still has PostgreSQL 8.0's error codes. Only the words tell a wrong password from a user that may not log in at all.
/// Statements get more time than on PostgreSQL, because Redshift's leader node is slow with grants.
static REDSHIFT: Variant = Variant {
    name: "Redshift",
    is_wrong_password: |code, words| {
        code == "28P01" || code == "28000" && words.starts_with("password authentication failed")
    },
    let_in: "see the server's words: a cluster with require_ssl refuses \"ssl\": false, and a database may be closed to the user",
    statement: Duration::from_secs(25),
    startup: |_| String::new(),
};

pub(crate) async fn login(job: &Job<'_>, ahead: &Ahead, entrance: &Entrance<'_>) -> Result<Login<Session>> {
    connect::login(job, (ahead, &Known::default()), &REDSHIFT, entrance).await
}

/// What a refused statement means: the kind of error, and what to do.
pub(crate) fn explain(code: &str) -> Option<(Kind, String)> {
    let (kind, remedy) = match code {
        "42501" => (
            Kind::ServerRefused,
            "the session's user lacks a permission: a user may change its own password only; an admin needs ALTER USER, and must be a superuser for alternating users",
        ),
        "22023" => (
            Kind::ServerRefused,
            "the server refused the new password: see its words, remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate again",
        ),
        "40001" | "40P01" | "55P03" | "57014" => (
            Kind::Conflict,
            "another session changed the same users or privileges, or the cluster is overloaded; Secrets Manager tries again",
        ),
        "3F000" | "42P01" | "42704" | "42710" | "42883" => {
            (Kind::Conflict, "an object was created or dropped meanwhile; Secrets Manager tries again")
        }
        // An internal error, a full disk, a restart. That is no answer to the statement.
        _ if ["XX", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => (
            Kind::Unreachable,
            "the cluster failed, and did not refuse the statement: look at its state and its events; Secrets Manager tries again by itself",
        ),
        _ => return None,
    };
    Some((kind, remedy.to_owned()))
}
