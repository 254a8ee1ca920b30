//! A Secrets Manager on this machine: AWS JSON 1.1 over HTTP, with the rules on which rotation depends.
//!
//! It knows no process and no function. A driver, which it is given, runs the rotations (`service::Driver`).
//!
//! If the service's behaviour is recorded nowhere, the API reference decides. If that says nothing either, the comment beside the
//! code says so.

pub(crate) mod call;
pub(crate) mod caller;
pub(crate) mod disk;
mod fault;
mod fault_file;
mod handle;
mod input;
pub(crate) mod moment;
mod name;
pub(crate) mod operation;
mod policy;
pub(crate) mod refusal;
mod rules;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod settings;
mod signature;
pub(crate) mod state;

pub use crate::uuid::new_uuid;
pub use call::{Call, Outcome};
pub use caller::Account;
pub use disk::{StateFile, StateKey};
pub use fault::{At, Fault, Faults, Held, Hook, Verdict, What};
pub use fault_file::faults_from_toml;
pub use handle::{Secrets, VersionInfo};
pub use moment::{Clock, Moment};
pub use refusal::Refusal;
