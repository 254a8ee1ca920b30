//! # Turnlock's rotation engine
//!
//! Four steps that AWS Secrets Manager calls, and one promise: whatever crashes, and whenever, some credential stored in the
//! secret logs in, and running the steps again finishes the rotation.
//!
//! An invocation travels through these files, in this order:
//!
//! ```text
//! lambda      the Lambda runtime: events in, answers out, panics caught
//! rotate      the story of one invocation
//!   event     what Secrets Manager sends, parsed once
//!   gate      whether the step may run; the second look under the lock
//!   step/     create_secret, set_secret, test_secret, finish_secret
//!   ladder    which version logs in; where proofs are made
//!   target    the one joint: what a database or service has to offer
//!   store     Secrets Manager: labels, values, put, promote
//!   diagnose  the same parts, looking only
//! ```
//!
//! What they are made of: [`document`] and [`version`] (what a secret holds), [`secret`] (what must not be seen),
//! [`password`], [`strategy`], [`settings`] (the environment), [`job`] (one invocation), [`deadline`], [`error`], [`log`],
//! [`metrics`], [`downtime`]; and for reaching anything: [`net`], [`tls`], [`http`], [`aws`].
//!
//! What SQL targets have in common is under [`database`], and what RDS knows of their servers in [`rds`]; both are called by
//! targets. The engine itself knows nothing of them, and no driver.

pub mod aws;
pub mod database;
pub mod deadline;
pub mod diagnose;
pub mod document;
pub mod downtime;
pub mod error;
pub mod event;
pub mod gate;
pub mod http;
pub mod job;
pub mod ladder;
pub mod lambda;
pub mod log;
pub mod metrics;
pub mod net;
pub mod password;
pub mod rds;
pub mod rotate;
pub mod secret;
pub mod settings;
pub mod step;
pub mod store;
pub mod strategy;
pub mod target;
pub mod tls;
pub mod version;
