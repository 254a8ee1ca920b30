//! Guard, second part: the server that the secret's clients use is the one that the admin will change.

use super::account::{Server, folded};
use crate::engine::job::Job;
use crate::error::{Error, Kind, Result};
use crate::value::version::Labels;

/// Where a server is, for admin secrets that do not say so themselves, and for servers behind a proxy.
#[derive(Clone)]
pub struct Endpoint {
    /// The host's name.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The kind of database.
    pub engine: String,
}

/// A service that knows servers by more than one name.
#[expect(async_fn_in_trait, reason = "as for `Target`")]
pub trait Directory {
    /// Where the server is that an admin secret without a host is for, by the labels and tags of that secret.
    async fn endpoint(job: &Job<'_>, admin: &Labels) -> Result<Endpoint>;

    /// Whether two host names lead to one server.
    async fn is_one_server(job: &Job<'_>, admin: &str, child: &str) -> Result<bool>;

    /// The server behind a host name that has the form of a proxy's endpoint; `None` for directories without proxies.
    async fn behind(_: &Job<'_>, _proxy: &str) -> Result<Option<Endpoint>> {
        Ok(None)
    }
}

/// No directory.
impl Directory for () {
    async fn endpoint(_: &Job<'_>, admin: &Labels) -> Result<Endpoint> {
        let what = format!("the admin secret {} names no host", admin.arn);
        Err(Error::new(Kind::BadSecret, what).remedy("add host, port and engine to the admin secret"))
    }

    async fn is_one_server(_: &Job<'_>, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
}

/// Refuses a secret whose host is not the admin's server: neither by name nor, as `one_server` is asked only then, as another
/// endpoint of it. Ports are not compared: a pooler or proxy listens on another, and what is changed is decided by the proof.
pub async fn same_server(
    child: &Server,
    admin: &Server,
    one_server: impl AsyncFnOnce(&str, &str) -> Result<bool>,
) -> Result<()> {
    if folded(&child.host) == folded(&admin.host) {
        return Ok(());
    }
    let what =
        format!("the secret's host {:?} is not known to be the admin's server {:?}", child.host, admin.host);
    let remedy = "write the same host into both secrets, or a name that AWS lists for that server: on RDS any endpoint of it, its cluster, replicas or proxies, on Redshift its custom domain or a VPC endpoint";
    match one_server(&admin.host, &child.host).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(Kind::NotOurs, what).remedy(remedy)),
        Err(error) => Err(Error::new(error.kind(), what).cause(error.report()).remedy(remedy)),
    }
}
