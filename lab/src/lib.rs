//! The lab: the parts of AWS that a rotation function uses, and the servers around it, on one machine, real if possible.
//!
//! It knows no rotation function; functions are processes that speak the Lambda runtime API.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let lab = lab::Lab::start(Default::default()).await?;
//! lab.secrets().create("prod/db", r#"{"password": "first"}"#)?;
//! println!("{}", lab.endpoint()); // for AWS_ENDPOINT_URL_SECRETS_MANAGER
//! # Ok(()) }
//! ```
//!
//! - [`Lab`]: a Secrets Manager that rotates its secrets
//! - [`secrets`]: a Secrets Manager over HTTP that keeps the service's rules, with faults, latency and a call log
//! - [`runtime`]: a Lambda runtime API that starts any process and calls it
//! - [`rotation`]: the work of the service after RotateSecret: four events, retries, giving up, schedules
//! - [`servers`]: real PostgreSQL, MySQL and MariaDB servers: found, fetched, started on free ports
//! - [`rds`]: a stand-in for the RDS API, which lists the entries it is given
//! - `rds_proxy`: a stand-in for RDS Proxy, which lets clients in by what AWSCURRENT says
//! - [`certs`]: certificates made at run time, good and bad ones
//! - [`world`]: one secret under rotation with all of the above around it
//! - [`sweep`]: cuts a rotation at every call and message, and checks that the rotation can still finish
//! - [`edits`]: edits of a secret while it rotates, and what has to be left of them
//! - [`continuity`]: clients that log in during a rotation, and the outcomes of their logins
//! - [`leaks`]: finds a password in any text, whatever its form
//! - [`proxy`]: a TCP proxy with faults that understands where database messages begin

pub mod certs;
pub mod continuity;
pub mod edits;
mod lab;
pub mod leaks;
mod lock;
pub mod proxy;
pub mod rds;
#[cfg(feature = "mysql")]
pub mod rds_proxy;
pub mod rotation;
pub mod runtime;
pub mod secrets;
pub mod servers;
pub mod sweep;
mod uuid;
pub mod world;

pub use lab::{Lab, Options};
