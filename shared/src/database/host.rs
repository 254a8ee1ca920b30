//! Guard, second part: the server that the secret's clients use is the one that the admin will change.

use super::account::{Server, folded};
use crate::error::{Error, Kind, Result};

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
    let remedy = "write the same host into both secrets, or, on RDS, any endpoint of that server, its cluster, replicas or proxies as RDS spells it";
    match one_server(&admin.host, &child.host).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(Kind::NotOurs, what).remedy(remedy)),
        Err(error) => Err(Error::new(error.kind(), what).cause(error.report()).remedy(remedy)),
    }
}
