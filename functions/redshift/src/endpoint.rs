//! The address of a cluster or workgroup, for admin secrets that Redshift made itself. Such a secret holds a user and a password, and
//! its tags name the cluster or namespace.

use rotation::database::host::{Directory, Endpoint};
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::reach::aws::answered;
use rotation::value::version::Labels;

use crate::names;

/// Redshift's own list of clusters and workgroups.
pub struct Clusters;

impl Directory for Clusters {
    /// Finds the address by the tag that Redshift put on the admin secret.
    async fn endpoint(job: &Job<'_>, admin: &Labels) -> Result<Endpoint> {
        of_managed(job, admin).await
    }

    /// Whether Redshift lists both names for one cluster or workgroup.
    async fn is_one_server(job: &Job<'_>, admin: &str, child: &str) -> Result<bool> {
        names::one_server(job, admin, child).await
    }
}

async fn of_managed(job: &Job<'_>, admin: &Labels) -> Result<Endpoint> {
    if let Some(namespace) = admin.tag("aws:redshift-serverless:namespaceArn") {
        return workgroup(job, namespace).await;
    }
    if let Some(cluster) = admin.tag("aws:redshift:primaryClusterArn") {
        return provisioned(job, cluster).await;
    }
    let what =
        format!("the admin secret {} names no host, and no cluster or namespace in its tags", admin.arn);
    Err(Error::new(Kind::BadSecret, what).remedy(
        "add host, port and engine to the admin secret, or let Redshift make it (managed admin password)",
    ))
}

/// A provisioned cluster. Its identifier is the last part of the ARN.
async fn provisioned(job: &Job<'_>, arn: &str) -> Result<Endpoint> {
    let identifier = arn.rsplit(':').next().unwrap_or_default();
    let client = aws_sdk_redshift::Client::new(job.aws);
    let call = client.describe_clusters().cluster_identifier(identifier).send();
    let clusters = answered(job, "redshift:DescribeClusters", call).await?.clusters.unwrap_or_default();
    let cluster = clusters.into_iter().find(|cluster| cluster.cluster_identifier() == Some(identifier));
    let endpoint = cluster.and_then(|cluster| cluster.endpoint);
    found("cluster", arn, endpoint.and_then(|endpoint| Some((endpoint.address?, endpoint.port?))))
}

/// Serverless: finds the namespace of this ARN, and a workgroup in front of it. This reads all pages; AWS's function stops after
/// the first hundred entries.
async fn workgroup(job: &Job<'_>, arn: &str) -> Result<Endpoint> {
    let client = aws_sdk_redshiftserverless::Client::new(job.aws);
    let call = client.list_namespaces().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
    let namespaces = answered(job, "redshift-serverless:ListNamespaces", call).await?;
    let namespace = namespaces.into_iter().find(|namespace| namespace.namespace_arn() == Some(arn));
    let Some(name) = namespace.and_then(|namespace| namespace.namespace_name) else {
        return found("namespace", arn, None);
    };
    let call = client.list_workgroups().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
    let workgroups = answered(job, "redshift-serverless:ListWorkgroups", call).await?;
    let workgroup =
        workgroups.into_iter().find(|workgroup| workgroup.namespace_name() == Some(name.as_str()));
    let endpoint = workgroup.and_then(|workgroup| workgroup.endpoint);
    found("namespace", arn, endpoint.and_then(|endpoint| Some((endpoint.address?, endpoint.port?))))
}

fn found(kind: &str, arn: &str, endpoint: Option<(String, i32)>) -> Result<Endpoint> {
    let endpoint = endpoint.and_then(|(host, port)| Some((host, u16::try_from(port).ok()?)));
    let Some((host, port)) = endpoint else {
        let what = format!("Redshift gives no endpoint for the {kind} {arn}, which the admin secret is for");
        return Err(Error::new(Kind::BadSecret, what).remedy(
            "it is being made, paused or deleted, a namespace without a workgroup, or in another account or Region: look at it in the Redshift console",
        ));
    };
    Ok(Endpoint { host, port, engine: "redshift".to_owned() })
}
