//! The server's answer to a login, and the proof that only an accepted login gives.

use crate::error::{Error, Kind, Result};
use crate::value::version::VersionId;

/// The server's answer to a login. A server that cannot be reached gives no answer: that is an error.
pub enum Login<S> {
    /// The server asked for the password, and took it.
    Accepted(S),
    /// The server refused the login; in its own words.
    Rejected(String),
}

/// Evidence that a version of the secret logged in during this invocation. Every promotion demands one.
pub struct Proof(VersionId);

impl Proof {
    /// The version that logged in.
    pub fn version(&self) -> &VersionId {
        &self.0
    }
}

impl<S> Login<S> {
    /// The session and the proof that this version logged in. Nothing else in the crate makes a proof. A refusal becomes an error.
    pub(crate) fn proven(self, version: &VersionId) -> Result<(S, Proof)> {
        match self {
            Login::Accepted(session) => Ok((session, Proof(version.clone()))),
            Login::Rejected(words) => {
                let what = format!("the server refused the login with version {version}");
                Err(Error::new(Kind::CredentialRejected, what).cause(words))
            }
        }
    }
}
