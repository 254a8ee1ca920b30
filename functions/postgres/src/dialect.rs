//! The dialect's type, below the files that speak the dialect. Its methods are in `lib.rs`.

use rotation::database::{admin, dialect};
use wire_postgres::ahead::{self, Ahead};
use wire_postgres::form::StoredAs;
use wire_postgres::known::Known;
use wire_postgres::session::Variant;

use crate::statement::declared;

/// The database for secrets that name none, as in AWS's functions.
pub(crate) const DBNAME: &str = "postgres";

/// How this server differs from others that speak the same protocol.
pub(crate) const VARIANT: Variant = Variant {
    name: "PostgreSQL",
    is_wrong_password,
    let_in: "see the server's words: pg_hba.conf has no line for this user, database and kind of connection, or the role may not log in",
    statement: declared::WAIT,
    startup: declared::at_login,
};

/// PgBouncer up to 1.18 has one code for everything that it says itself, so its words count. (`client.c`, `disconnect_client`.)
fn is_wrong_password(code: &str, words: &str) -> bool {
    let from_a_pooler = ["SASL authentication failed", "password authentication failed"].contains(&words);
    code == "28P01" || code == "08P01" && from_a_pooler
}

/// The target.
pub struct Postgres {
    pub(crate) ahead: Ahead,
    pub(crate) known: Known,
}

impl Default for Postgres {
    fn default() -> Postgres {
        Postgres { ahead: ahead::none_yet(), known: Known::default() }
    }
}

/// What an accepted login shows.
pub struct Shown {
    /// The user.
    pub user: String,
    /// The form in which the server can check a password for this kind of login.
    pub form: StoredAs,
}

impl AsRef<str> for Shown {
    fn as_ref(&self) -> &str {
        &self.user
    }
}

/// Who acts where a user cannot act for itself.
pub(crate) type Admin = admin::Admin<Shown>;

/// A session that makes changes.
pub(crate) type Writer = dialect::Writer<Postgres>;
