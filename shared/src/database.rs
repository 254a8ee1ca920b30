//! What targets that speak SQL have in common. Called by those targets, never by the engine.

pub mod account;
pub mod admin;
pub mod alternation;
pub mod guard;
pub mod host;
pub mod place;
