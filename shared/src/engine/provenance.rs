//! What pending was made from. Between any two steps somebody may store another AWSCURRENT; a pending value that was made from the older
//! one must not replace the edit.

use crate::engine::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::value::document::Document;
use crate::value::version::{Labels, Parsed, Stage};

/// Refuses a pending version that differs from current in a field that no rotation changes, and a current version that no longer is.
/// The label may then be moved away from this very version and from no other.
pub fn check<A: Credential>(labels: &Labels, current: &Parsed<A>, pending: &Parsed<A>) -> Result<()> {
    if labels.holder(Stage::Current) != Some(&current.id) {
        return Err(Error::new(Kind::Conflict, "AWSCURRENT moved while this step was reading it"));
    }
    made_from(current, pending)
}

/// The same for versions whose labels have just been seen.
pub fn made_from<A: Credential>(current: &Parsed<A>, pending: &Parsed<A>) -> Result<()> {
    match (&current.document, &pending.document) {
        (Document::Plain(_), Document::Plain(_)) => Ok(()),
        (Document::Object(now), Document::Object(then)) => {
            let differs = now.differs_in(then, &current.account.own_fields());
            differs.map_or(Ok(()), |key| Err(edited(&format!("{key:?} differs"))))
        }
        _ => Err(edited("one of them is JSON and the other is not")),
    }
}

fn edited(how: &str) -> Error {
    let what = format!("AWSPENDING was not made from the value that AWSCURRENT holds by now: {how}");
    Error::new(Kind::Conflict, what).remedy(
        "somebody edited the secret during the rotation: remove the label AWSPENDING (`turnlock repair SECRET --through ARN`) and rotate \
         again; the next value is made from the edited one",
    )
}
