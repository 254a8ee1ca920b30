//! Where a cluster or an instance is, by its identifier or ARN.

use aws_sdk_rds::Client;

use crate::database::host::Endpoint;
use crate::engine::job::Job;
use crate::error::Result;
use crate::reach::aws::answered;

/// What RDS calls a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// One instance, perhaps a member of a cluster.
    Instance,
    /// A cluster, whose endpoint leads to its writer.
    Cluster,
}

/// The address of a server; `None` if RDS gives none.
pub(super) async fn located(
    job: &Job<'_>,
    client: &Client,
    sort: Sort,
    name: &str,
) -> Result<Option<Endpoint>> {
    let found = match sort {
        Sort::Cluster => {
            let call = client.describe_db_clusters().db_cluster_identifier(name).send();
            let output = answered(job, "rds:DescribeDBClusters", call).await?;
            output.db_clusters.unwrap_or_default().into_iter().next().map(|c| (c.endpoint, c.port, c.engine))
        }
        Sort::Instance => {
            let call = client.describe_db_instances().db_instance_identifier(name).send();
            let output = answered(job, "rds:DescribeDBInstances", call).await?;
            output.db_instances.unwrap_or_default().into_iter().next().map(|i| {
                let (host, port) = i.endpoint.map_or((None, None), |at| (at.address, at.port));
                (host, port, i.engine)
            })
        }
    };
    let Some((Some(host), Some(port), Some(engine))) = found else { return Ok(None) };
    Ok(u16::try_from(port).ok().map(|port| Endpoint { host, port, engine }))
}
