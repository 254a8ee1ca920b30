//! RDS Proxy as a secret's host. A proxy lets clients in by what AWSCURRENT says, so a login there proves nothing about the server, and
//! pending would be refused until its promotion. Logins that have to prove something go to the writer behind the proxy.

use super::account::{Account, Server, folded};
use super::family::Family;
use super::host::{Directory, Endpoint};
use crate::engine::finding::Finding;
use crate::engine::job::Job;
use crate::engine::target::Login;
use crate::error::{Error, Kind, Result};
use crate::value::strategy::Strategy;

/// Whether a host has the form of a proxy's endpoint (RDS User Guide, "Working with Amazon RDS Proxy endpoints"):
/// `NAME.proxy-ID.REGION.rds.amazonaws.com`, `NAME.endpoint.proxy-ID...`; in China the Region follows `rds`.
fn is_endpoint(host: &str) -> bool {
    let host = folded(host);
    let mut labels = host.split('.').skip(1).peekable();
    labels.next_if_eq(&"endpoint");
    let id = labels.next().and_then(|label| label.strip_prefix("proxy-")).unwrap_or_default();
    let domain: Vec<&str> = labels.collect();
    !id.is_empty() && domain.contains(&"rds") && domain.contains(&"amazonaws")
}

/// The server to log in on: the writer, if the host is a proxy. RDS is asked once in an invocation, and about no other hosts.
pub async fn behind<D: Directory>(job: &Job<'_>, server: &Server) -> Result<Server> {
    if !is_endpoint(&server.host) {
        return Ok(server.clone());
    }
    let at = |(host, port): (String, u16)| Server { host, port, ..server.clone() };
    let proxy = folded(&server.host);
    let known =
        job.looked_up.borrow().iter().find(|(name, _)| *name == proxy).map(|(_, found)| found.clone());
    if let Some(found) = known {
        return Ok(at(found));
    }
    let found = D::behind(job, &proxy).await;
    let found =
        found.map_err(|error| error.cause(format!("{proxy} has the form of an RDS Proxy's endpoint")))?;
    let Some(Endpoint { host, port, .. }) = found else { return Ok(server.clone()) };
    tracing::info!(
        proxy,
        writer = format!("{host}:{port}"),
        "the host is an RDS Proxy; logins go to the writer behind it"
    );
    job.looked_up.borrow_mut().push((proxy, (host.clone(), port)));
    Ok(at((host, port)))
}

/// Lets what became of a login say that it was not made at the secret's host.
pub(super) fn named<S>(login: Result<Login<S>>, own: &Server, at: &Server) -> Result<Login<S>> {
    match login {
        Ok(Login::Rejected(words)) if is_endpoint(&own.host) => {
            Ok(Login::Rejected(format!("{words} ({})", whereabouts(own, at))))
        }
        answer => answer.map_err(|error| naming(error, own, at)),
    }
}

/// The same for an error.
pub(super) fn naming(error: Error, own: &Server, at: &Server) -> Error {
    if is_endpoint(&own.host) { error.cause(whereabouts(own, at)) } else { error }
}

fn whereabouts(own: &Server, at: &Server) -> String {
    format!("{} is an RDS Proxy; logins go to the writer behind it, {}:{}", own.host, at.host, at.port)
}

/// createSecret: refuses a proxy whose writer cannot be told, and two users behind one secret.
pub(super) async fn demand_usable<D: Directory>(
    job: &Job<'_>,
    account: &Account,
    family: &Family,
) -> Result<()> {
    let writer = behind::<D>(job, &account.server).await?;
    if writer == account.server || account.alternation.is_none() {
        return Ok(());
    }
    let what =
        format!("the strategy alternating-users does not work behind the RDS Proxy {}", account.server.host);
    Err(Error::new(Kind::BadSecret, what)
        .cause("a proxy knows the user that AWSCURRENT names and no other, so it would refuse clients that still use the other user")
        .remedy(instead(family, &writer)))
}

fn instead(family: &Family, writer: &Server) -> String {
    let overlap = match family.strategies.contains(&Strategy::DualPassword) {
        true => "\"dual-password\", which keeps the old password valid, ",
        false => "",
    };
    format!(
        "put \"strategy\": {overlap}\"single-user\" or \"admin\" into the secret, or the database's own endpoint as its host ({}); \
         docs/proxies.md compares them",
        writer.host
    )
}

/// The diagnose event: where logins go if the host is a proxy.
pub(super) async fn examine<D: Directory>(
    job: &Job<'_>,
    account: &Account,
    family: &Family,
) -> Option<Finding> {
    const CHECK: &str = "proxy";
    let writer = behind::<D>(job, &account.server).await.ok().filter(|writer| *writer != account.server)?;
    Some(match demand_usable::<D>(job, account, family).await {
        Ok(()) => Finding::pass(CHECK, whereabouts(&account.server, &writer)),
        Err(error) => Finding::fail(CHECK, &error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_of_the_documented_form_are_proxies() {
        for (host, expected) in [
            ("front.proxy-c0ffee1234.us-east-1.rds.amazonaws.com", true),
            ("FRONT.Proxy-c0ffee1234.us-east-1.RDS.amazonaws.com.", true),
            ("reader.endpoint.proxy-c0ffee1234.us-east-1.rds.amazonaws.com", true),
            ("front.proxy-c0ffee1234.rds.cn-north-1.amazonaws.com.cn", true),
            ("app.c0ffee1234.us-east-1.rds.amazonaws.com", false),
            ("app.cluster-c0ffee1234.us-east-1.rds.amazonaws.com", false),
            ("proxy-1.c0ffee1234.us-east-1.rds.amazonaws.com", false),
            ("front.proxy-.us-east-1.rds.amazonaws.com", false),
            ("front.proxy-c0ffee1234.example.com", false),
            ("a.front.proxy-c0ffee1234.us-east-1.rds.amazonaws.com", false),
            ("proxy-c0ffee1234.us-east-1.rds.amazonaws.com", false),
            ("localhost", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_endpoint(host), expected, "{host}");
        }
    }
}
