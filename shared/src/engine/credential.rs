//! What one version of a secret says, parsed: all that the engine asks of it.

use crate::error::Result;
use crate::value::strategy::Strategy;

/// One version's account or key, in the target's own terms. The engine never looks inside.
pub trait Credential {
    /// The strategy that the version asks for.
    fn strategy(&self) -> Strategy;

    /// Refuses another version that is not for the same server and account (or pair of accounts) as this one, which is current.
    /// Asked before the other version's password is sent anywhere.
    fn agree(&self, other: &Self) -> Result<()>;

    /// Refuses a pending version that must not follow this one, which is current.
    fn may_be_followed_by(&self, pending: &Self) -> Result<()> {
        self.agree(pending)
    }

    /// The fields that a rotation itself changes from this version, which is current, to the next. A difference in any other field is
    /// somebody's edit.
    fn own_fields(&self) -> Vec<&str>;

    /// Lets this older version, which agrees with the current one, be tried where the current one is: with no less trust than the
    /// older one was written with, and no less than the current one asks for.
    fn align_with(&mut self, _current: &Self) {}

    /// Whether something is left to do after its promotion (`Target::after_promotion`).
    fn settles(&self) -> bool {
        false
    }
}
