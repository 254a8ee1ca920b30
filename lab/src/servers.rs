//! Real database servers for tests: found, fetched, started on free ports of 127.0.0.1, and gone with their value.
//!
//! A server runs in a folder of its own, as an unprivileged user (`nobody` when the tests run as root, because
//! database servers refuse root), under a guard that stops it and removes the folder even if this process is killed.
//! Where neither the machine nor its package sources have a server, Docker may (`TURNLOCK_DOCKER=1`: always by Docker).
//! What is fetched is kept in `target/servers`, or, where `nobody` may not enter that folder, in `/var/tmp`.

mod account;
mod cache;
mod daemon;
mod debian;
mod docker;
mod folder;
mod handed;
mod instance;
mod mysql;
mod postgres;
mod program;
mod python;
mod redshift;
mod server;
mod shared;

pub use mysql::{Flavor, MySql, MySqlOptions, Release};
pub use postgres::{Auth, Postgres, PostgresOptions};
pub use python::{python, python_clients};
pub use redshift::Redshift;
pub use server::Server;

use crate::certs::Kind;

/// How a server does TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// Not at all.
    Off,
    /// With a certificate that is valid for `localhost` and `127.0.0.1`.
    Good,
    /// With a certificate for another host.
    WrongName,
    /// With a certificate that has run out.
    Expired,
    /// With a certificate of an authority that nobody knows.
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
