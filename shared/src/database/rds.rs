//! Asks RDS for the server of an admin secret that RDS made, and whether two host names lead to one server. Only targets that can be
//! on RDS call this, never the engine, so that other functions do not link this client.

mod located;
mod proxies;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbInstance, DbProxyTarget};

use crate::database::account::folded;
use crate::database::host::{Directory, Endpoint};
use crate::engine::job::Job;
use crate::error::{Error, Kind, Result};
use crate::reach::aws::answered;
use crate::value::version::Labels;

use self::located::{Sort, located};

/// RDS, which knows every name of its servers.
pub struct Rds;

impl Directory for Rds {
    async fn endpoint(job: &Job<'_>, admin: &Labels) -> Result<Endpoint> {
        endpoint(job, admin).await
    }

    async fn is_one_server(job: &Job<'_>, admin: &str, child: &str) -> Result<bool> {
        one_server(job, admin, child).await
    }

    async fn behind(job: &Job<'_>, proxy: &str) -> Result<Option<Endpoint>> {
        proxies::writer(job, proxy).await.map(Some)
    }
}

/// Finds the server for which RDS made this admin secret, by the tag that RDS put on the secret.
async fn endpoint(job: &Job<'_>, admin: &Labels) -> Result<Endpoint> {
    let arn = admin.tag("aws:rds:primaryDBClusterArn").or_else(|| admin.tag("aws:rds:primaryDBInstanceArn"));
    let Some(arn) = arn else {
        return Err(Error::new(
            Kind::BadSecret,
            format!("the admin secret {} names no host, and no server of RDS in its tags", admin.arn),
        )
        .remedy("add host, port and engine to the admin secret, or let RDS make it (managed master user password)"));
    };
    let client = Client::new(job.aws);
    let is_cluster = admin.tag("aws:rds:primaryDBClusterArn").is_some();
    let sort = if is_cluster { Sort::Cluster } else { Sort::Instance };
    located(job, &client, sort, arn).await?.ok_or_else(|| {
        Error::new(Kind::BadSecret, format!("RDS gives no endpoint for {arn}, which the admin secret is for"))
            .remedy("the server is being made, or has been deleted: look at it in the RDS console")
    })
}

/// Whether two host names are endpoints of one server: of one instance and its replicas, or of one cluster and its members,
/// including a proxy in front of them. It compares the whole names that RDS lists, because anybody can have the same first label under
/// a domain of their own.
async fn one_server(job: &Job<'_>, a: &str, b: &str) -> Result<bool> {
    let client = Client::new(job.aws);
    let instances = client.describe_db_instances().into_paginator().items().send().collect();
    let clusters = client.describe_db_clusters().into_paginator().items().send().collect();
    let (instances, clusters): (Result<Vec<_>>, Result<Vec<_>>) = tokio::join!(
        answered(job, "rds:DescribeDBInstances", instances),
        answered(job, "rds:DescribeDBClusters", clusters)
    );
    let fleet = Fleet(
        instances?.into_iter().map(Node::instance).chain(clusters?.into_iter().map(Node::cluster)).collect(),
    );
    let one = fleet.writers_behind(job, &client, a).await?;
    // The empty name stands for a server that RDS does not list. Two such servers may be different ones.
    if one.is_empty() || one.contains(&"") {
        return Ok(false);
    }
    Ok(one == fleet.writers_behind(job, &client, b).await?)
}

/// Every instance and cluster that RDS lists in this account and Region.
struct Fleet(Vec<Node>);

struct Node {
    kind: Sort,
    id: String,
    arn: String,
    endpoints: Vec<String>,
    /// The cluster that this node is a member of, or the server that it replicates.
    follows: Option<(Sort, String)>,
}

impl Node {
    fn instance(instance: DbInstance) -> Node {
        let member = instance.db_cluster_identifier.map(|id| (Sort::Cluster, id));
        let replica = instance.read_replica_source_db_instance_identifier.map(|id| (Sort::Instance, id));
        let outside = instance.read_replica_source_db_cluster_identifier.map(|id| (Sort::Cluster, id));
        Node {
            kind: Sort::Instance,
            id: instance.db_instance_identifier.unwrap_or_default(),
            arn: instance.db_instance_arn.unwrap_or_default(),
            endpoints: instance.endpoint.and_then(|e| e.address).iter().map(|name| folded(name)).collect(),
            follows: member.or(replica).or(outside),
        }
    }

    fn cluster(cluster: DbCluster) -> Node {
        let custom = cluster.custom_endpoints.unwrap_or_default();
        let names = cluster.endpoint.into_iter().chain(cluster.reader_endpoint).chain(custom);
        Node {
            kind: Sort::Cluster,
            id: cluster.db_cluster_identifier.unwrap_or_default(),
            arn: cluster.db_cluster_arn.unwrap_or_default(),
            endpoints: names.map(|name| folded(&name)).collect(),
            // RDS always gives an ARN here, which names its own kind.
            follows: cluster.replication_source_identifier.map(|arn| (Sort::Cluster, arn)),
        }
    }
}

impl Fleet {
    /// The writers that a host name leads to; none if RDS does not know the name.
    async fn writers_behind(&self, job: &Job<'_>, client: &Client, host: &str) -> Result<Vec<&str>> {
        let host = folded(host);
        if let Some(node) = self.0.iter().find(|node| node.endpoints.contains(&host)) {
            return Ok(vec![self.writer(node)]);
        }
        let Some(proxy) = proxies::with_endpoint(job, client, &host).await? else { return Ok(Vec::new()) };
        let targets = proxies::targets(job, client, &proxy).await?;
        let mut writers: Vec<&str> = targets.iter().map(|target| self.behind(target)).collect();
        writers.sort_unstable();
        writers.dedup();
        Ok(writers)
    }

    /// The writer behind one of a proxy's targets; the empty name for a server that RDS does not list.
    fn behind(&self, target: &DbProxyTarget) -> &str {
        let node = proxies::server(target).and_then(|(sort, name)| self.find(sort, name));
        node.map_or("", |node| self.writer(node))
    }

    /// Follows members to their cluster and replicas to their source. It stops after as many hops as there are nodes, so a ring cannot trap it.
    fn writer<'a>(&'a self, node: &'a Node) -> &'a str {
        let mut at = node;
        for _ in 0..self.0.len() {
            match &at.follows {
                None => break,
                Some((kind, name)) => match self.find(*kind, name) {
                    Some(next) => at = next,
                    // The source is a server of another Region or account.
                    None => return name,
                },
            }
        }
        &at.arn
    }

    fn find(&self, kind: Sort, name: &str) -> Option<&Node> {
        self.0.iter().find(|node| {
            if name.starts_with("arn:") { node.arn == name } else { node.kind == kind && node.id == name }
        })
    }
}
