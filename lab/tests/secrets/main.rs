//! What the lab's Secrets Manager keeps: rules, recorded facts, faults and histories.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "a skip is announced, and the child of a test tells its endpoint")]

mod agent;
mod client;
mod clients;
mod documented;
mod facts;
mod faults;
mod foreign;
mod histories;
mod recorded;
mod rotation;
mod rules;
mod state;
