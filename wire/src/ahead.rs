//! Early connections, as far as this protocol goes before anybody logs in.

use rotation::database::ahead;

use crate::stream::{Stream, reach};

/// The early connections of a function.
pub type Ahead = ahead::Ahead<Stream>;

/// None yet.
pub fn none_yet() -> Ahead {
    Ahead::new(|deadline, server| Box::pin(async move { reach(deadline, &server).await }))
}
