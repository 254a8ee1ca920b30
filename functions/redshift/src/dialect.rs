//! The dialect's type, below the files that speak the dialect. Its methods are in `lib.rs`.

use rotation::database::dialect;
use wire_postgres::ahead::{self, Ahead};

/// The target.
pub struct Redshift {
    pub(crate) ahead: Ahead,
}

impl Default for Redshift {
    fn default() -> Redshift {
        Redshift { ahead: ahead::none_yet() }
    }
}

/// A session that makes changes.
pub(crate) type Writer = dialect::Writer<Redshift>;
