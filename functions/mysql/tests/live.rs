//! `rotate-mysql` against real MySQL and MariaDB servers, driven as Secrets Manager drives it.

mod live {
    pub(crate) mod app;
    mod continuity;
    mod dual;
    mod edits;
    mod equality;
    mod failures;
    mod guard;
    mod impostor;
    mod leaks;
    mod names;
    mod plugins;
    mod rds;
    #[path = "../../../postgres/tests/live/standin.rs"]
    #[allow(dead_code, reason = "PostgreSQL's tests ask it for more")]
    mod standin;
    mod strategies;
    mod sweep;
}
