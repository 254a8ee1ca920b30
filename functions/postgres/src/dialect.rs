//! The dialect's type, below the files that speak the dialect. Its methods are in `lib.rs`.

use rotation::database::{admin, dialect};
use wire_postgres::ahead::{self, Ahead};
use wire_postgres::form::StoredAs;

/// The database for secrets that name none, as in AWS's functions.
pub(crate) const DBNAME: &str = "postgres";

/// The target.
pub struct Postgres {
    pub(crate) ahead: Ahead,
}

impl Default for Postgres {
    fn default() -> Postgres {
        Postgres { ahead: ahead::none_yet() }
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
