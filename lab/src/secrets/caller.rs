//! Callers: the AWS accounts behind access keys, and the caller of one request.

use std::collections::BTreeMap;

/// The owner of an access key. It has no `Debug`, because it holds the secret key.
#[derive(Clone)]
pub struct Account {
    /// The twelve digits.
    pub id: String,
    /// The secret access key, for checking signatures.
    pub secret_key: String,
}

/// The caller, according to the signature's credential scope.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) access_key: String,
    pub(crate) account: String,
    pub(crate) region: String,
}

/// The callers that the service knows.
pub(crate) struct Callers {
    /// The caller of unsigned requests, and of the library itself.
    pub(crate) unsigned: Caller,
    /// The accounts behind access keys.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Whether to refuse requests that are not signed, or not with an access key and secret key of `accounts`.
    pub(crate) check_signatures: bool,
}
