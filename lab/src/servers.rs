//! Real database servers for tests. This module finds or fetches them and starts them on free ports of 127.0.0.1. Dropping a
//! server's value stops it.
//!
//! A server runs in a folder of its own, as an unprivileged user (`nobody` when the tests run as root, because
//! database servers refuse root), under a guard that stops it and removes the folder even if this process is killed.
//! If neither the machine nor its package sources have a server, Docker may have it (`TURNLOCK_DOCKER=1`: always use Docker).
//! Fetched programs are kept in `target/servers`, or in `/var/tmp` if `nobody` may not enter that folder.

mod account;
mod cache;
mod daemon;
mod debian;
mod docker;
mod folder;
mod image;
mod instance;
mod mysql;
mod node;
mod pgbouncer;
mod postgres;
mod program;
mod python;
mod redshift;
mod running;
mod server;
mod shared;

pub use mysql::{Flavor, MySql, MySqlOptions, Release};
pub use node::node;
pub use pgbouncer::{PgBouncer, Pooling};
pub use postgres::{Auth, Postgres, PostgresOptions};
pub use python::{available, python, python_clients};
pub use redshift::{Deployment, Redshift};
pub use server::Server;

use crate::certs::Kind;

/// How a server does TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// No TLS.
    Off,
    /// With a certificate that is valid for `localhost` and `127.0.0.1`.
    Good,
    /// With a certificate for another host.
    WrongName,
    /// With an expired certificate.
    Expired,
    /// With a certificate of an unknown authority.
    UnknownAuthority,
}

impl Tls {
    fn certificate(self) -> Option<Kind> {
        match self {
            Tls::Off => None,
            Tls::Good => Some(Kind::Good),
            Tls::WrongName => Some(Kind::WrongName),
            Tls::Expired => Some(Kind::Expired),
            Tls::UnknownAuthority => Some(Kind::UnknownAuthority),
        }
    }
}
