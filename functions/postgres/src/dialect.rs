//! The dialect's type, below the files that speak the dialect. Its methods are in `lib.rs`.

use rotation::database::dialect;
use wire_postgres::ahead::{self, Ahead};

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

pub(crate) type Writer = dialect::Writer<Postgres>;
