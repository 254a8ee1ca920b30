//! What RDS knows of its proxies: which proxy has an endpoint, and which server is behind it.

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbProxyTarget, TargetType};

use super::located::{Sort, located};
use crate::database::account::folded;
use crate::database::host::Endpoint;
use crate::engine::job::Job;
use crate::error::{Error, Kind, Result};
use crate::reach::aws::answered;

/// The name of the proxy that has this endpoint, compared whole.
pub(super) async fn with_endpoint(job: &Job<'_>, client: &Client, host: &str) -> Result<Option<String>> {
    let host = folded(host);
    let is_it = |name: Option<&String>| name.is_some_and(|name| folded(name) == host);
    let proxies = client.describe_db_proxies().into_paginator().items().send().collect();
    let proxies: Vec<_> = answered(job, "rds:DescribeDBProxies", proxies).await?;
    if let Some(proxy) = proxies.into_iter().find(|proxy| is_it(proxy.endpoint.as_ref())) {
        return Ok(proxy.db_proxy_name);
    }
    let endpoints = client.describe_db_proxy_endpoints().into_paginator().items().send().collect();
    let endpoints: Vec<_> = answered(job, "rds:DescribeDBProxyEndpoints", endpoints).await?;
    let found = endpoints.into_iter().find(|endpoint| is_it(endpoint.endpoint.as_ref()));
    Ok(found.and_then(|endpoint| endpoint.db_proxy_name))
}

/// All targets of a proxy.
pub(super) async fn targets(job: &Job<'_>, client: &Client, proxy: &str) -> Result<Vec<DbProxyTarget>> {
    let targets = client.describe_db_proxy_targets().db_proxy_name(proxy);
    let targets = targets.into_paginator().items().send().collect();
    answered(job, "rds:DescribeDBProxyTargets", targets).await
}

/// The server that a target stands for: the cluster that it is a member of, or else the target itself.
pub(super) fn server(target: &DbProxyTarget) -> Option<(Sort, &str)> {
    let named = |id: &&String| !id.is_empty();
    let sort = match &target.r#type {
        Some(TargetType::RdsInstance) => Sort::Instance,
        _ => Sort::Cluster,
    };
    let cluster = target.tracked_cluster_id.as_ref().filter(named).map(|id| (Sort::Cluster, id.as_str()));
    cluster.or_else(|| target.rds_resource_id.as_ref().filter(named).map(|id| (sort, id.as_str())))
}

/// The writer behind the proxy with this endpoint. The address is asked of the cluster or the instance, because RDS leaves it out of the
/// targets that stand for a cluster.
pub(super) async fn writer(job: &Job<'_>, host: &str) -> Result<Endpoint> {
    let client = Client::new(job.aws);
    let proxy = with_endpoint(job, &client, host).await?.ok_or_else(|| unlisted(host))?;
    let targets = targets(job, &client, &proxy).await?;
    let mut servers: Vec<_> = targets.iter().filter_map(server).collect();
    servers.sort_unstable();
    servers.dedup();
    let [(sort, name)] = servers[..] else {
        let names: Vec<&str> = servers.iter().map(|(_, name)| *name).collect();
        return Err(not_one(&proxy, &names));
    };
    let at = format!("it is the target of the RDS Proxy {proxy:?}");
    match located(job, &client, sort, name).await {
        Ok(Some(endpoint)) => Ok(endpoint),
        Ok(None) => Err(Error::new(Kind::Unreachable, format!("RDS gives no endpoint for {name:?}"))
            .cause(at)
            .remedy("the server is being made, or has been deleted: look at it in the RDS console")),
        Err(error) if error.kind() == Kind::BadSecret => {
            Err(error.cause(format!("{name:?}: {at}")).remedy(REGISTER))
        }
        Err(error) => Err(error.cause(format!("{name:?}: {at}"))),
    }
}

const REGISTER: &str = "register the database with the proxy (`aws rds register-db-proxy-targets`), or put the database's own endpoint into \
                        the secret";

fn unlisted(host: &str) -> Error {
    let what = format!("RDS lists no proxy with the endpoint {host:?} in this account and Region");
    Error::new(Kind::BadSecret, what).remedy(
        "correct \"host\" in the secret; if the proxy belongs to another account or Region, put the database's own endpoint there",
    )
}

fn not_one(proxy: &str, servers: &[&str]) -> Error {
    if servers.is_empty() {
        let what = format!("the RDS Proxy {proxy:?} has no target, so there is no server to rotate at");
        return Error::new(Kind::BadSecret, what).remedy(REGISTER);
    }
    let what = format!(
        "the RDS Proxy {proxy:?} has several targets ({}), and none of them is known to be the secret's",
        servers.join(", ")
    );
    Error::new(Kind::BadSecret, what).remedy("put the database's own endpoint into the secret")
}
