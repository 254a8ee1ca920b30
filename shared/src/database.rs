//! What databases and other servers with users and passwords have in common. A function for such a server implements
//! `dialect::Dialect`, and is a target by that; the engine knows nothing of this folder.

pub mod account;
pub mod admin;
pub mod ahead;
pub mod alternation;
pub mod dialect;
pub mod difference;
pub mod family;
pub mod guard;
pub mod host;
pub mod place;
pub mod proxy;
pub mod rds;
pub mod session;
pub mod target;
