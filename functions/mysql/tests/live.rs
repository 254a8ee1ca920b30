//! `rotate-mysql` against real MySQL and MariaDB servers, driven as Secrets Manager drives it.

mod live {
    mod admins;
    pub(crate) mod app;
    mod continuity;
    mod deputy;
    mod dual;
    mod edits;
    mod equality;
    mod failures;
    mod fast;
    mod gaps;
    mod guard;
    mod hosts;
    mod impostor;
    mod leaks;
    mod login_locks;
    mod names;
    mod partners;
    mod plugins;
    mod rds;
    mod rds_proxy;
    mod scale;
    mod sessions;
    mod set_back;
    mod settings;
    mod strategies;
    mod sweep;
    mod writer;
}
