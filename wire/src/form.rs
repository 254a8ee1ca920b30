//! The forms in which servers store passwords.

/// How a server stores a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// As an MD5 hash.
    Md5,
    /// As a SCRAM-SHA-256 verifier.
    Scram,
}
