//! What every session of ours declares. A role, a database's owner and a pooler can choose settings for every session, and none of
//! these settings may decide about a rotation. (PostgreSQL manual, "Setting Parameters".)

use std::time::Duration;

use rotation::engine::job::Job;
use wire_postgres::session::Session;

/// How long a transaction waits for something in use, such as a table. Everybody who wants the table later waits behind it.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// After this long the server ends the session of a process that has disappeared.
const IDLE: Duration = Duration::from_secs(20);

/// Declared with the login: what could end a session before its first statement, and what limits statements outside our transactions.
/// The server prefers it to the settings of roles and databases, and `DISCARD ALL` keeps it. The times are milliseconds. The server
/// looks every second whether this process is still there, and ends the statement of a process that has gone, with its locks.
///
/// All of these settings exist from PostgreSQL 14 on. Neither `role` nor `search_path` is among them, because testSecret has to see
/// what a client's session is like.
const AT_LOGIN: &str = "-c statement_timeout=9000 -c lock_timeout=4000 -c idle_in_transaction_session_timeout=20000 \
    -c idle_session_timeout=0 -c client_connection_check_interval=1000";

/// The same with what only newer servers have. The version is known from the login before, and is 0 at a process's first login. Then
/// the first transaction declares `transaction_timeout`, and a limit of a millisecond can end that transaction before.
pub fn at_login(version: u32) -> String {
    let newer = if version >= 17 { "-c transaction_timeout=0 " } else { "" };
    format!("{newer}{AT_LOGIN}")
}

/// How long this side waits for the answer to one message: longer than the server may work on a statement.
pub const WAIT: Duration = Duration::from_secs(10);

/// What a transaction's declaration depends on.
#[derive(Clone, Copy)]
pub struct Limits {
    /// The server's major version.
    pub version: u32,
    /// How long a statement may run.
    pub statement: Duration,
}

impl Limits {
    /// The limits of a session, with the time that its step has left.
    pub fn of(session: &Session, job: &Job<'_>) -> Limits {
        Limits { version: session.version, statement: session.limit(job) }
    }

    /// The same, with less time for a statement.
    pub fn at_most(self, statement: Duration) -> Limits {
        Limits { statement: self.statement.min(statement), ..self }
    }
}

/// Declared at the start of every transaction, and for it alone, because a pooler may give the session to a client next. Names resolve
/// to PostgreSQL's own catalog, since an admin must not run functions of a database's owner. So only utility statements, which look up
/// no names, come before and among these. `wait` limits how long a statement waits for a lock.
pub fn in_transaction(wait: Duration, limits: Limits) -> String {
    let Limits { version, statement } = limits;
    let [wait, statement, idle] = [wait, statement, IDLE].map(|limit| limit.as_millis());
    let newer = [(17, "transaction_timeout = 0"), (16, "createrole_self_grant TO ''")];
    let newer =
        newer.into_iter().filter(|(since, _)| version >= *since).map(|(_, setting)| setting.to_owned());
    let settings = newer.chain([
        format!("statement_timeout = {statement}"),
        format!("lock_timeout = {wait}"),
        format!("idle_in_transaction_session_timeout = {idle}"),
        "search_path TO pg_catalog, pg_temp; SET LOCAL DateStyle TO ISO; SET LOCAL TimeZone TO 'UTC'; \
         SET LOCAL standard_conforming_strings TO on; SET LOCAL jit TO off; SET LOCAL synchronous_commit TO on; \
         SET LOCAL tcp_keepalives_idle = 5; SET LOCAL tcp_keepalives_interval = 2; SET LOCAL tcp_keepalives_count = 3"
            .to_owned(),
    ]);
    settings.map(|setting| format!("SET LOCAL {setting}")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_does_not_know_is_not_declared_to_it() {
        let declared =
            |version| in_transaction(PATIENCE, Limits { version, statement: Duration::from_secs(9) });
        assert!(
            !declared(0).contains("createrole_self_grant") && !declared(15).contains("createrole_self_grant")
        );
        assert!(
            declared(16).contains("createrole_self_grant") && !declared(16).contains("transaction_timeout")
        );
        assert!(declared(17).starts_with("SET LOCAL transaction_timeout = 0; "));
    }

    #[test]
    fn the_server_ends_a_statement_before_this_side_gives_up() {
        let limit = AT_LOGIN.split(' ').find_map(|word| word.strip_prefix("statement_timeout=")).unwrap();
        assert!(Duration::from_millis(limit.parse().unwrap()) < WAIT);
    }
}
