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
//!   parse     versions become accounts, and what is secret in them is masked
//!   ladder    which version logs in
//!   login     the answer to a login, and the proof that an accepted one is
//!   target    the one joint: what a database or service has to offer
//!   database/ what databases share: a dialect of it is a target
//!   store     Secrets Manager: labels, values, put, promote
//!   diagnose  the same parts, looking only
//! ```
//!
//! What they are made of: [`document`] and [`version`] (what a secret holds), [`credential`] (what a version says, parsed), [`secret`]
//! (what must not be seen),
//! [`password`], [`strategy`], [`settings`] (the environment), [`job`] (one invocation), [`deadline`], [`error`], [`log`],
//! [`metrics`], [`downtime`]; and for reaching anything: [`net`], [`tls`], [`http`], [`aws`].
//!
//! A function is a target and one line; [`tests/redis`](../../tests/redis) is a whole one. What an invocation is asked, and what a
//! secret says, is read once at the edge:
//!
//! ```
//! use rotation::document::Document;
//! use rotation::event::{self, Event, Step};
//!
//! let sent = serde_json::json!({"SecretId": "prod/app", "ClientRequestToken": "t", "Step": "setSecret"});
//! let Ok(Event::Rotate(request)) = event::parse(&sent) else { panic!("a step was asked for") };
//! assert_eq!(request.step, Ok(Step::SetSecret));
//!
//! // What is not touched stays as it was written, to the letter.
//! let Document::Object(mut fields) = Document::parse(r#"{"port": "5432", "password": "old", "note": [2.50]}"#) else {
//!     panic!("it is an object")
//! };
//! fields.put("password", "new");
//! let value = Document::Object(fields).to_text()?;
//! # #[expect(clippy::disallowed_methods, reason = "exposes what this example has made up")]
//! let text = value.expose();
//! assert_eq!(text, r#"{"port": "5432", "password": "new", "note": [2.50]}"#);
//! # Ok::<(), rotation::error::Error>(())
//! ```
//!
//! What databases have in common is under [`database`]: a function for a database implements [`database::dialect::Dialect`], and is a
//! target by that. What RDS knows of servers is in [`rds`]. The engine itself knows nothing of either, and no driver.

pub mod aws;
pub mod credential;
pub mod database;
pub mod deadline;
pub mod diagnose;
pub mod document;
pub mod downtime;
pub mod encode;
pub mod error;
pub mod event;
pub mod finding;
pub mod gate;
pub mod http;
pub mod job;
pub mod ladder;
pub mod lambda;
pub mod log;
pub mod login;
pub mod metrics;
pub mod net;
pub mod parse;
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
