//! The dialect's type, below the files that speak the dialect. Its methods are in `lib.rs`.

use rotation::database::{admin, dialect};

use crate::connect::OpenedAccount;

/// The target.
pub struct Mysql;

/// The admin, and the account that the secret has proven on the admin's server.
pub(crate) type Admin = admin::Admin<OpenedAccount>;

/// A session that makes changes.
pub(crate) type Writer = dialect::Writer<Mysql>;
