//! The engine: the story of an invocation, the four steps, and what they ask of a target. It knows Secrets Manager. It knows no server
//! and no way to reach one, and nothing in it uses `reach` or `database`.

pub mod credential;
pub mod diagnose;
pub mod downtime;
pub mod finding;
pub mod gate;
pub mod job;
pub mod ladder;
pub mod login;
pub mod parse;
pub mod provenance;
pub mod rotate;
pub mod spent;
pub mod step;
pub mod store;
pub mod target;
pub mod verify;
