//! PostgreSQL's wire protocol, as two functions speak it: `rotate-postgres` and `rotate-redshift`. Neither function depends on
//! the other; both depend on this crate. A [`session::Variant`] says in what two servers differ.
//!
//! [`connect`] logs in, and [`session`] runs statements. `stream` reaches a server, and [`ahead`] does so before a function needs it. `watch`
//! notes whether the server asked for the password. [`known`] remembers what a server takes. `binding` ties a login to its TLS connection. [`statement`] quotes names.
//! [`password`] sets an account's password,
//! in one of the forms of [`form`]; [`verifier`] makes the one for SCRAM.
//!
//! This crate writes no log lines, because `rotation::door::log` accepts them from the engine and the functions only.

pub mod ahead;
mod binding;
pub mod connect;
pub mod form;
pub mod known;
pub mod password;
pub mod session;
pub mod statement;
pub mod stream;
pub mod verifier;
mod watch;
