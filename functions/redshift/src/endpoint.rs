//! Where a cluster or workgroup is, for admin secrets that Redshift made itself: they hold a user and a password, and a tag
//! says what they are for.

use std::time::Duration;

use aws_sdk_redshift::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use rotation::database::admin::Endpoint;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::version::Labels;

/// For one listing with all its pages and tries.
const LISTING: Duration = Duration::from_secs(10);

/// Finds it by the tag that Redshift put on the admin secret.
pub(crate) async fn of_managed(job: &Job<'_>, admin: &Labels) -> Result<Endpoint> {
    let tag = |name: &str| {
        let mut tags = admin.tags.iter().rev();
        tags.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    if let Some(namespace) = tag("aws:redshift-serverless:namespaceArn") {
        return workgroup(job, namespace).await;
    }
    if let Some(cluster) = tag("aws:redshift:primaryClusterArn") {
        return provisioned(job, cluster).await;
    }
    let what =
        format!("the admin secret {} names no host, and no cluster or namespace in its tags", admin.arn);
    Err(Error::new(Kind::BadSecret, what).remedy(
        "add host, port and engine to the admin secret, or let Redshift make it (managed admin password)",
    ))
}

/// A provisioned cluster: asked for by its identifier, the last part of the ARN.
async fn provisioned(job: &Job<'_>, arn: &str) -> Result<Endpoint> {
    let identifier = arn.rsplit(':').next().unwrap_or_default();
    let client = aws_sdk_redshift::Client::new(job.aws);
    let call = client.describe_clusters().cluster_identifier(identifier).send();
    let clusters = answered(job, "redshift:DescribeClusters", call).await?.clusters.unwrap_or_default();
    let cluster = clusters.into_iter().find(|cluster| cluster.cluster_identifier() == Some(identifier));
    let endpoint = cluster.and_then(|cluster| cluster.endpoint);
    found("cluster", arn, endpoint.and_then(|endpoint| Some((endpoint.address?, endpoint.port?))))
}

/// Serverless: the namespace of this ARN, and a workgroup in front of it. All pages are read: AWS's function stops after
/// the first hundred.
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

/// Waits for Redshift's API; a refusal says which action is missing.
async fn answered<T, E>(
    job: &Job<'_>,
    action: &str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let remedy = "in a VPC without NAT, give Redshift's API an interface endpoint (com.amazonaws.REGION.redshift or redshift-serverless) whose security group lets the function in";
    let waited = job.deadline.within(LISTING, format!("the answer to {action}"), call).await;
    let error = match waited.map_err(|error| error.remedy(remedy))? {
        Ok(output) => return Ok(output),
        Err(error) => error,
    };
    let Some(answer) = error.as_service_error() else {
        return Err(Error::new(Kind::Unreachable, format!("{action} was not answered"))
            .cause(DisplayErrorContext(&error).to_string())
            .remedy(remedy));
    };
    let code = answer.code().unwrap_or("an error without a code");
    let failed = |kind| {
        Error::new(kind, format!("{action} was refused with {code}"))
            .cause(answer.message().unwrap_or_default())
    };
    Err(match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            failed(Kind::AccessDenied).remedy(format!("allow {action} to the function's role"))
        }
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => failed(Kind::Throttled),
        "ClusterNotFound" | "ClusterNotFoundFault" | "ResourceNotFoundException" => failed(Kind::BadSecret)
            .remedy("what the admin secret's tags name does not exist in this account and Region"),
        _ => failed(Kind::Unreachable),
    })
}
