//! What comes in and goes out: the events that Secrets Manager sends, log lines, and metrics. Only `error` and `secret` are below this
//! wing; every other file of the crate may use it.

pub mod event;
pub mod log;
pub mod metrics;
