//! `rotate-mysql` against real MySQL and MariaDB servers, driven as Secrets Manager drives it.

mod live {
    pub(crate) mod app;
    mod continuity;
    mod dual;
    mod equality;
    mod failures;
    mod guard;
    mod leaks;
    mod names;
    mod strategies;
    mod sweep;
}
