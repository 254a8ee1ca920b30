//! `rotate-postgres` against real PostgreSQL servers, driven as Secrets Manager drives it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where, and stops")]

mod live {
    mod accounts;
    mod alternating;
    pub(crate) mod app;
    mod attacks;
    mod diagnosis;
    mod edits;
    mod equality;
    mod failures;
    mod forms;
    mod handover;
    mod hostile_settings;
    mod hostile_values;
    mod leaks;
    mod limits;
    mod lock;
    mod names;
    mod old_minors;
    pub(crate) mod pair;
    mod pair_failures;
    mod pair_sweep;
    mod poolers;
    mod quoting;
    pub(crate) mod rds;
    mod rds_proxy;
    mod scale;
    mod sessions;
    mod settings;
    mod shapes;
    mod single_user;
    pub(crate) mod sweep;
    mod takeover;
    mod trust;
}
