//! Callers: the accounts behind access keys, and who makes one call.

use std::collections::BTreeMap;

/// Whom an access key belongs to. It has no `Debug`: it holds the secret key.
#[derive(Clone)]
pub struct Account {
    /// The twelve digits.
    pub id: String,
    /// The secret access key that signatures are checked with.
    pub secret_key: String,
}

/// Who calls, as the signature's credential scope says.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) access_key: String,
    pub(crate) account: String,
    pub(crate) region: String,
}

/// How the service knows its callers.
pub(crate) struct Callers {
    /// Who calls without a signature, and the library itself.
    pub(crate) unsigned: Caller,
    /// The accounts behind access keys.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Refuse requests that are not signed, or not by an access key and secret key of `accounts`.
    pub(crate) check_signatures: bool,
}
