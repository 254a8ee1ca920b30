//! The rotation protocol as a model: versions and labels in Secrets Manager, passwords in the server, the lock, and up to two
//! steps that run at once. Each move is one external effect. Any protection can be taken away, to see why it is needed.
//!
//! The model leaves out what the promises exclude: a lock session that is lost while the label moves, targets without locks,
//! passwords that the server's policy refuses before it stores them.

mod protocol;
mod search;
mod state;
mod step;

pub use protocol::{Broken, Protection, Protocol, Strategy, World};
pub use search::{Outcome, explore};
