//! All names of a cluster or workgroup, as Redshift lists them: its endpoint, its custom domain, and the managed VPC endpoints through
//! which other networks reach it. Whole names are compared, because anybody can have the same first label under a domain of their own.

use rotation::database::account::folded;
use rotation::engine::job::Job;
use rotation::error::Result;
use rotation::reach::aws::answered;

/// Whose name it is. The account is there because another account can have a cluster of the same identifier, and lend a VPC endpoint
/// to it.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Cluster { account: String, identifier: String },
    Workgroup(String),
}

/// Names, and whose they are.
type Names = Vec<(String, Owner)>;

/// Whether two host names lead to one cluster or workgroup.
pub(crate) async fn one_server(job: &Job<'_>, a: &str, b: &str) -> Result<bool> {
    let mut names = Vec::new();
    if may_be(a, b, "redshift") {
        names.extend(provisioned(job).await?);
    }
    if may_be(a, b, "redshift-serverless") {
        names.extend(serverless(job).await?);
    }
    Ok(owned_by_one(&names, a, b))
}

/// Whether the names can be this service's. One of AWS's own names tells which service to ask; any other name can be a custom domain.
/// The names prove nothing here: they only save calls to the other service.
fn may_be(a: &str, b: &str, service: &str) -> bool {
    let of_aws = |name: &str| {
        let name = folded(name);
        let is_of_aws = name.ends_with(".amazonaws.com") || name.ends_with(".amazonaws.com.cn");
        let known = ["redshift", "redshift-serverless"];
        let found = name.split('.').find_map(|label| known.into_iter().find(|known| *known == label));
        found.filter(|_| is_of_aws)
    };
    [a, b].into_iter().filter_map(of_aws).all(|found| found == service)
}

/// Whether both names have an owner, and the same one. A name that is listed for two owners has none.
fn owned_by_one(names: &Names, a: &str, b: &str) -> bool {
    let owner = |host: &str| {
        let host = folded(host);
        let mut owners = names.iter().filter(|(name, _)| folded(name) == host).map(|(_, owner)| owner);
        let first = owners.next()?;
        owners.all(|other| other == first).then_some(first)
    };
    owner(a).is_some_and(|one| owner(b) == Some(one))
}

/// The names of all provisioned clusters. A custom domain is of this account; so is a cluster whose ARN names no other.
async fn provisioned(job: &Job<'_>) -> Result<Names> {
    let client = aws_sdk_redshift::Client::new(job.aws);
    let clusters = client.describe_clusters().into_paginator().items().send().collect();
    let domains = client.describe_custom_domain_associations().into_paginator().items().send().collect();
    let endpoints = client.describe_endpoint_access().into_paginator().items().send().collect();
    let (clusters, domains, endpoints): (Result<Vec<_>>, Result<Vec<_>>, Result<Vec<_>>) = tokio::join!(
        answered(job, "redshift:DescribeClusters", clusters),
        answered(job, "redshift:DescribeCustomDomainAssociations", domains),
        answered(job, "redshift:DescribeEndpointAccess", endpoints)
    );
    let clusters = clusters?;
    let account = clusters.iter().find_map(|cluster| account_of(cluster.cluster_namespace_arn()?));
    let ours = account.unwrap_or_default().to_owned();
    let cluster = |account: &str, identifier: Option<String>| {
        Some(Owner::Cluster { account: account.to_owned(), identifier: identifier? })
    };
    let mut names = Vec::new();
    for found in clusters {
        names.push((
            found.endpoint.and_then(|endpoint| endpoint.address),
            cluster(&ours, found.cluster_identifier),
        ));
    }
    for found in domains?.into_iter().flat_map(|domain| domain.certificate_associations.unwrap_or_default()) {
        names.push((found.custom_domain_name, cluster(&ours, found.cluster_identifier)));
    }
    for found in endpoints? {
        let account = found.resource_owner.as_deref().unwrap_or(&ours);
        let owner = cluster(account, found.cluster_identifier);
        names.push((found.address, owner));
    }
    Ok(complete(names))
}

/// The names of all workgroups.
async fn serverless(job: &Job<'_>) -> Result<Names> {
    let client = aws_sdk_redshiftserverless::Client::new(job.aws);
    let workgroups = client.list_workgroups().into_paginator().items().send().collect();
    let domains = client.list_custom_domain_associations().into_paginator().items().send().collect();
    let endpoints = client.list_endpoint_access().into_paginator().items().send().collect();
    let (workgroups, domains, endpoints): (Result<Vec<_>>, Result<Vec<_>>, Result<Vec<_>>) = tokio::join!(
        answered(job, "redshift-serverless:ListWorkgroups", workgroups),
        answered(job, "redshift-serverless:ListCustomDomainAssociations", domains),
        answered(job, "redshift-serverless:ListEndpointAccess", endpoints)
    );
    let mut names = Vec::new();
    for found in workgroups? {
        names.push((
            found.endpoint.and_then(|endpoint| endpoint.address),
            found.workgroup_name.map(Owner::Workgroup),
        ));
    }
    for found in domains? {
        names.push((found.custom_domain_name, found.workgroup_name.map(Owner::Workgroup)));
    }
    for found in endpoints? {
        names.push((found.address, found.workgroup_name.map(Owner::Workgroup)));
    }
    Ok(complete(names))
}

/// Leaves out names that are not there yet, while a cluster or an endpoint is being made.
fn complete(names: Vec<(Option<String>, Option<Owner>)>) -> Names {
    names
        .into_iter()
        .filter_map(|(name, owner)| Some((name.filter(|name| !name.is_empty())?, owner?)))
        .collect()
}

/// The account in an ARN.
fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(account: &str, identifier: &str) -> Owner {
        Owner::Cluster { account: account.to_owned(), identifier: identifier.to_owned() }
    }

    #[test]
    fn whole_names_of_one_owner_are_one_server() {
        let names: Names = [
            ("w.abc.us-east-1.redshift.amazonaws.com", cluster("1", "w")),
            ("data.example.com", cluster("1", "w")),
            ("w-endpoint-x.def.us-east-1.redshift.amazonaws.com", cluster("1", "w")),
            ("lent-endpoint-x.ghi.us-east-1.redshift.amazonaws.com", cluster("2", "w")),
            ("w.000000000000.us-east-1.redshift-serverless.amazonaws.com", Owner::Workgroup("w".to_owned())),
            ("both.example.com", cluster("1", "w")),
            ("both.example.com", Owner::Workgroup("w".to_owned())),
        ]
        .map(|(name, owner)| (name.to_owned(), owner))
        .into();
        let check = |other: &str, expected| {
            let own = "w.abc.us-east-1.redshift.amazonaws.com";
            assert_eq!(owned_by_one(&names, own, other), expected, "{other}");
            assert_eq!(owned_by_one(&names, other, own), expected, "{other}");
        };
        check("data.example.com", true);
        check("Data.Example.COM.", true);
        check("w-endpoint-x.def.us-east-1.redshift.amazonaws.com", true);
        check("lent-endpoint-x.ghi.us-east-1.redshift.amazonaws.com", false);
        check("w.000000000000.us-east-1.redshift-serverless.amazonaws.com", false);
        check("both.example.com", false);
        check("w.abc.us-east-1.redshift.amazonaws.com.example.com", false);
        check("example.com", false);
        assert!(!owned_by_one(&names, "unknown.example.com", "unknown.example.com"));
    }

    #[test]
    fn a_name_of_awss_own_tells_which_service_to_ask() {
        let of = |a: &str, b: &str| (may_be(a, b, "redshift"), may_be(a, b, "redshift-serverless"));
        let (cluster, workgroup) =
            ("w.abc.us-east-1.redshift.amazonaws.com", "w.0.cn-north-1.redshift-serverless.amazonaws.com.cn");
        assert_eq!(of("data.example.com", cluster), (true, false));
        assert_eq!(of(workgroup, "data.example.com"), (false, true));
        assert_eq!(of("data.example.com", "redshift.example.com"), (true, true));
        assert_eq!(of(cluster, workgroup), (false, false));
    }
}
