//! The meaning of the servers' errors, by number (MySQL "Server Error Message Reference", MariaDB "Error Codes"), and the remedy.

use mysql_async::ServerError;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::said::Said;

/// The meaning of an error's number for one caller. It takes precedence over this file's general meaning.
pub(crate) type Explain = fn(u16) -> Option<(Kind, &'static str)>;

/// Sorts a refused login: a wrong password is a rejection, everything else an error.
pub(crate) fn login<S>(place: &str, user: &str, answer: &ServerError) -> Result<Login<S>> {
    let words = words(answer);
    match answer.code {
        1045 => return Ok(Login::Rejected(words)),
        NO_PASSWORD => return Ok(Login::Rejected(format!("{words} ({PERHAPS_NONE})"))),
        _ => {}
    }
    let by_token = answer.message.contains(IAM).then_some((Kind::ServerRefused, BY_TOKEN));
    let (kind, remedy) =
        by_token.or_else(|| closed(answer.code)).unwrap_or((Kind::ServerRefused, "see the server's words"));
    let what = if kind == Kind::Unreachable {
        format!("{place} takes no logins now")
    } else {
        format!("{place} does not let {user:?} in, whatever its password")
    };
    Err(Error::new(kind, what).cause(words).remedy(remedy))
}

/// Whether the server or the account has no session left: ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, and
/// ER_USER_LIMIT_REACHED if its limit is about simultaneous sessions.
pub(crate) fn is_full(answer: &ServerError) -> bool {
    match answer.code {
        1040 | 1203 => true,
        1226 => answer.message.contains("max_user_connections"),
        _ => false,
    }
}

/// ER_ACCESS_DENIED_NO_PASSWORD_ERROR. MariaDB answers with it in two cases: the password is wrong and the account may also log in
/// by unix_socket, which MariaDB tries last; or the account has no password at all.
const NO_PASSWORD: u16 = 1698;
const PERHAPS_NONE: &str = "or the account has no password, only unix_socket, auth_socket or the like: then give it a password plugin";

/// The plugin of RDS for accounts that log in with IAM tokens (RDS User Guide, "Creating a database account using IAM authentication").
pub(crate) const IAM: &str = "AWSAuthenticationPlugin";
pub(crate) const BY_TOKEN: &str = "an account with AWSAuthenticationPlugin logs in with IAM tokens and has no password to rotate: cancel the \
     rotation of this secret, or, if clients use a password, let an admin give the account a password plugin \
     (ALTER USER ... IDENTIFIED WITH caching_sha2_password BY ..., on MariaDB mysql_native_password)";

/// The error for a refused statement.
pub(crate) fn of(place: &str, doing: &str, answer: &ServerError, explain: Explain) -> Error {
    let what = format!("{place} refused to {doing}");
    // MariaDB has one number for every option that forbids a statement (ER_OPTION_PREVENTS_STATEMENT), so the words decide.
    let code = if answer.message.contains("--strict-password-validation") { POLICY } else { answer.code };
    let known = explain(code).or_else(|| statement(code)).or_else(|| closed(code));
    let error = Error::new(known.map_or(Kind::ServerRefused, |(kind, _)| kind), what).cause(words(answer));
    match known {
        Some((_, remedy)) => error.remedy(remedy),
        None => error,
    }
}

/// A password policy refused the password (ER_NOT_VALID_PASSWORD).
pub(crate) const POLICY: u16 = 1819;

/// The password after REPLACE is not the primary one (ER_INCORRECT_CURRENT_PASSWORD).
pub(crate) const NOT_PRIMARY: u16 = 3891;

/// Too few characters differ from the old password (ER_VALIDATE_PASSWORD_INSUFFICIENT_CHANGED_CHARACTERS, since MySQL 8.4).
pub(crate) const TOO_SIMILAR: u16 = 4165;

/// An account statement failed (ER_CANNOT_USER). MariaDB gives this number for most reasons; `SHOW ERRORS` lists the reason.
pub(crate) const ACCOUNT: u16 = 1396;

/// The first error that `SHOW ERRORS` lists (level, number, words), which is the reason. The answer itself is the last one in
/// that list.
pub(crate) fn because(answer: ServerError, listed: Vec<Vec<Option<String>>>) -> ServerError {
    let reason = listed.into_iter().next().and_then(|row| {
        let [_, Some(code), Some(message)] = <[_; 3]>::try_from(row).ok()? else { return None };
        Some(ServerError { code: code.parse().ok()?, message, state: answer.state.clone() })
    });
    reason.unwrap_or(answer)
}

/// The server's own words with the error's number, cut to 500 characters.
fn words(answer: &ServerError) -> String {
    let text: String = answer.message.chars().take(500).collect();
    format!("error {} ({}): {}", answer.code, answer.state, Said::new(&text))
}

/// Why a server refuses a login with any password: the account is closed, or the server takes no logins.
fn closed(code: u16) -> Option<(Kind, &'static str)> {
    Some(match code {
        3118 | 4151 => (
            Kind::ServerRefused,
            "the password is right and the account is locked: ALTER USER ... ACCOUNT UNLOCK, if the lock was not meant",
        ),
        3955 | 4150 => (
            Kind::ServerRefused,
            "too many wrong logins have blocked the account (FAILED_LOGIN_ATTEMPTS, max_password_errors): find the client that sends \
             an old password, then unblock the account with ALTER USER ... ACCOUNT UNLOCK",
        ),
        1862 | 1820 => (
            Kind::ServerRefused,
            "the password has expired: let an admin set it again (ALTER USER ... IDENTIFIED BY) to what AWSCURRENT holds, and rotate \
             more often than password_lifetime",
        ),
        1524 => (
            Kind::ServerRefused,
            "the account's authentication plugin is not loaded: load it, or give the account another",
        ),
        1251 | 4031 => {
            (Kind::ServerRefused, "the account's authentication plugin is not one that is spoken here")
        }
        1044 | 1049 => (
            Kind::BadSecret,
            "correct \"dbname\" in the secret, or grant the user something in that database",
        ),
        1130 => (
            Kind::ServerRefused,
            "no account of the server is for the address that the function comes from: create the user for that host, or for '%'",
        ),
        3159 => (Kind::BadSecret, "the server insists on TLS: remove \"ssl\": false from the secret"),
        1226 | 1203 => (
            Kind::Unreachable,
            "the account has used up a resource limit (MAX_USER_CONNECTIONS and the like): leave room for the rotation's three logins",
        ),
        1040 | 1129 | 1053 | 1152 | 3032 | 1080 => (
            Kind::Unreachable,
            "the server is full, starting, stopping, offline, or has blocked the function's address (FLUSH HOSTS); Secrets Manager tries \
             again by itself",
        ),
        _ => return None,
    })
}

/// The meaning of a refused statement, if the caller has none of its own.
pub(crate) fn statement(code: u16) -> Option<(Kind, &'static str)> {
    Some(match code {
        1290 | 1836 | 1792 | 3100 => (
            Kind::ServerRefused,
            "the server is read-only, a replica perhaps: put the writer's host into the secret, or let an admin act (strategy \"admin\")",
        ),
        POLICY | 1372 | 3632 | TOO_SIMILAR => (
            Kind::ServerRefused,
            "a password policy of the server refused the new password: align PASSWORD_LENGTH and EXCLUDE_* with it (MariaDB with a \
             validation plugin wants PASSWORD_FORM=plaintext), remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate again",
        ),
        3638 => (
            Kind::ServerRefused,
            "the account's password history forbids this password: remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate again",
        ),
        1044 | 1045 | 1142 | 1227 | 1410 | 1698 => (
            Kind::ServerRefused,
            "the session's user lacks a privilege, named in the server's words where it says 1227 or 1142; else it is one that it cannot pass on, \
             such as a role without ADMIN OPTION or PROXY (functions/mysql/README.md lists what each strategy needs)",
        ),
        1205 | 1213 | 3572 => (
            Kind::Conflict,
            "another statement held a lock for too long; Secrets Manager tries again by itself",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u16, expected: Option<Kind>, part: &str) {
        let answer = ServerError { code, message: "words".into(), state: "HY000".into() };
        match (login::<()>("db:3306", "app", &answer), expected) {
            (Ok(Login::Rejected(words)), None) => {
                assert!(words.contains(&code.to_string()) && words.contains(part), "{words}");
            }
            (Err(error), Some(kind)) => {
                assert_eq!(error.kind(), kind, "{code}");
                assert!(error.report().contains(part), "{}", error.report());
            }
            _ => panic!("{code}"),
        }
    }

    #[test]
    fn only_1045_and_1698_are_about_the_password() {
        check(1045, None, "");
        check(1698, None, "unix_socket");
        check(3118, Some(Kind::ServerRefused), "locked");
        check(4151, Some(Kind::ServerRefused), "locked");
        check(3955, Some(Kind::ServerRefused), "blocked");
        check(1862, Some(Kind::ServerRefused), "expired");
        check(1040, Some(Kind::Unreachable), "takes no logins now");
        check(1049, Some(Kind::BadSecret), "dbname");
        check(65000, Some(Kind::ServerRefused), "see the server's words");
    }

    #[test]
    fn a_mariadb_that_insists_on_judging_passwords_is_not_taken_for_a_replica() {
        let refused = |message: &str| {
            let answer = ServerError { code: 1290, message: message.into(), state: "HY000".into() };
            of("db:3306", "set the password", &answer, statement).report()
        };
        let strict = "The MariaDB server is running with the --strict-password-validation option so it cannot execute this statement";
        assert!(refused(strict).contains("PASSWORD_FORM=plaintext"), "{}", refused(strict));
        let replica =
            "The MariaDB server is running with the --read-only option so it cannot execute this statement";
        assert!(refused(replica).contains("replica"), "{}", refused(replica));
    }
}
