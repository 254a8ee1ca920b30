//! # Turnlock's rotation engine
//!
//! Four steps that AWS Secrets Manager calls, and one promise: whatever crashes, and whenever, some credential stored in the
//! secret logs in, and running the steps again finishes the rotation.
//!
//! An invocation travels through these files, in this order:
//!
//! ```text
//! lambda             the Lambda runtime: events in, answers out, panics caught
//! engine/rotate      the story of one invocation
//!   door/event       what Secrets Manager sends, parsed once
//!   engine/gate      whether the step may run; the second look under the lock
//!   engine/step/     create_secret, set_secret, test_secret, finish_secret
//!   engine/parse     versions become accounts, and their secret parts are masked
//!   engine/ladder    which version logs in
//!   engine/login     the answer to a login, and the proof that an accepted login gives
//!   engine/target    the one joint: what a database or service has to offer
//!   database/        what databases share: a dialect of it is a target
//!   engine/store     Secrets Manager: labels, values, put, promote
//!   engine/diagnose  the same parts, looking only
//! ```
//!
//! The wings, each with a front page that says what may use it: [`door`] (what comes in and goes out), [`value`] (what a secret and a
//! deployment say), [`engine`], [`reach`] (how anything is reached), [`database`]. All of them stand on [`error`], [`secret`] (what
//! must not be seen), [`said`] (what others wrote) and [`deadline`].
//!
//! A function is a target and one line; [`tests/redis`](../../tests/redis) is a whole one. What an invocation is asked, and what a
//! secret says, is read once at the edge:
//!
//! ```
//! use rotation::value::document::Document;
//! use rotation::door::event::{self, Event, Step};
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
//! target by that. What RDS knows of servers is in [`database::rds`]. The engine itself knows nothing of either, and no driver.

pub mod database;
pub mod deadline;
pub mod door;
pub mod engine;
pub mod error;
pub mod lambda;
pub mod reach;
pub mod said;
pub mod secret;
pub mod value;
