//! The rotation protocol as a model: versions and labels in Secrets Manager, passwords in the server, the lock, and up to two
//! steps that run at once. Each move is one external effect, and any protection can be taken away to see what it is for.
//!
//! Not modelled, as the promises except them: a lock session that is lost while the label moves, targets without locks,
//! passwords that the server's policy refuses before it stores them.

mod protocol;
mod search;
mod state;
mod step;

pub use protocol::{Broken, Protection, Protocol, Strategy, World};
pub use search::{Outcome, explore};
