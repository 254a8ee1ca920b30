//! Which host names are the same server, according to RDS; and the address for an admin secret that RDS made.

use lab::rds::{Entry, Rds};
use lab::rotation::Step;
use lab::servers::Postgres;
use serde_json::json;

use super::pair::{ADMIN_SECRET, Pair, Power};

/// An RDS API that lists these entries, with PostgreSQL on this port.
pub(crate) async fn listing(entries: &[Entry], port: u16) -> Rds {
    Rds::start(["postgres", "aurora-postgresql"], entries, port).await.unwrap()
}

const MEMBER: &str = "<DBClusterIdentifier>app</DBClusterIdentifier>";

/// An Aurora cluster whose writer is the server under test, a single instance with replicas, other servers, and proxies. Each
/// list is longer than a page.
const FLEET: [Entry; 23] = [
    Entry::Cluster(
        "other",
        "other.cluster-x.rds.test",
        "<ReaderEndpoint>other.cluster-ro-x.rds.test</ReaderEndpoint>",
    ),
    Entry::Cluster("third", "third.cluster-x.rds.test", ""),
    Entry::Cluster(
        "app",
        "localhost",
        "<ReaderEndpoint>app.cluster-ro-x.rds.test</ReaderEndpoint><CustomEndpoints><member>reports.cluster-custom-x.rds.test</member></CustomEndpoints>",
    ),
    // A cluster that replicates a cluster of the same name in another Region.
    Entry::Cluster(
        "far",
        "far.cluster-x.rds.test",
        "<ReplicationSourceIdentifier>arn:aws:rds:eu-west-1:000000000000:cluster:app</ReplicationSourceIdentifier>",
    ),
    Entry::Instance("app", "app.x.rds.test", ""),
    Entry::Instance("app-1", "app-1.x.rds.test", MEMBER),
    Entry::Instance("app-2", "APP-2.x.rds.test", MEMBER),
    Entry::Instance(
        "outside",
        "outside.x.rds.test",
        "<ReadReplicaSourceDBClusterIdentifier>app</ReadReplicaSourceDBClusterIdentifier>",
    ),
    Entry::Instance(
        "deep",
        "deep.x.rds.test",
        "<ReadReplicaSourceDBInstanceIdentifier>outside</ReadReplicaSourceDBInstanceIdentifier>",
    ),
    Entry::Instance(
        "ring-1",
        "ring-1.x.rds.test",
        "<ReadReplicaSourceDBInstanceIdentifier>ring-2</ReadReplicaSourceDBInstanceIdentifier>",
    ),
    Entry::Instance(
        "ring-2",
        "ring-2.x.rds.test",
        "<ReadReplicaSourceDBInstanceIdentifier>ring-1</ReadReplicaSourceDBInstanceIdentifier>",
    ),
    Entry::Proxy("strange", "strange.proxy-x.rds.test"),
    Entry::Proxy("mixed", "mixed.proxy-x.rds.test"),
    Entry::Proxy("front", "front.proxy-x.rds.test"),
    Entry::ProxyEndpoint("strange", "strange-ro.endpoint.proxy-x.rds.test"),
    Entry::ProxyEndpoint("other", "other-ro.endpoint.proxy-x.rds.test"),
    Entry::ProxyEndpoint("front", "front-ro.endpoint.proxy-x.rds.test"),
    Entry::Target(
        "front",
        "<Type>RDS_INSTANCE</Type><RdsResourceId>app-1</RdsResourceId><TrackedClusterId>app</TrackedClusterId>",
    ),
    Entry::Target("front", "<Type>RDS_INSTANCE</Type><RdsResourceId>app-2</RdsResourceId>"),
    Entry::Target("front", "<Type>TRACKED_CLUSTER</Type><RdsResourceId>app</RdsResourceId>"),
    Entry::Target("mixed", "<Type>TRACKED_CLUSTER</Type><RdsResourceId>app</RdsResourceId>"),
    Entry::Target("mixed", "<Type>TRACKED_CLUSTER</Type><RdsResourceId>other</RdsResourceId>"),
    Entry::Target("strange", "<Type>RDS_INSTANCE</Type><RdsResourceId>gone</RdsResourceId>"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_of_the_admins_server_is_accepted_and_no_other() {
    let pair = Pair::new(16, Power::Superuser).await;
    let rds = listing(&FLEET, pair.app.server.port()).await;
    let url = rds.url();
    for (host, accepted) in [
        ("LOCALHOST.", true),
        ("app.cluster-ro-x.rds.test", true),
        ("App.Cluster-RO-x.rds.test.", true),
        ("reports.cluster-custom-x.rds.test", true),
        ("app-1.x.rds.test", true),
        ("app-2.x.rds.test", true),
        ("outside.x.rds.test", true),
        ("deep.x.rds.test", true),
        ("front.proxy-x.rds.test", true),
        ("front-ro.endpoint.proxy-x.rds.test", true),
        // An instance with the cluster's name, a cluster elsewhere, a ring, a proxy for two servers, a proxy for none.
        ("app.x.rds.test", false),
        ("far.cluster-x.rds.test", false),
        ("ring-1.x.rds.test", false),
        ("mixed.proxy-x.rds.test", false),
        ("strange.proxy-x.rds.test", false),
        ("other.cluster-ro-x.rds.test", false),
        ("app-1.attacker.test", false),
        ("app", false),
        ("nowhere.test", false),
    ] {
        let world = pair
            .world_with(&[("AWS_ENDPOINT_URL_RDS", url.as_str())], |secret| secret["host"] = host.into())
            .await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        let outcome = world.step(&token, Step::SetSecret).await.map_err(|error| error.to_string());
        match outcome {
            Ok(()) => {
                assert!(accepted, "{host} was accepted");
                // Each world has another secret, which would not touch this secret's account.
                pair.app.server.execute(&format!("DROP ROLE {}", pair.clone_name())).await.unwrap();
            }
            Err(error) => {
                assert!(
                    !accepted && error.starts_with("NotOurs:") && error.contains("localhost"),
                    "{host}: {error}"
                );
            }
        }
    }
    assert!(
        rds.calls().iter().any(|call| call.contains("DescribeDBInstances") && call.contains("Marker=6")),
        "{:?}",
        rds.calls()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rds_is_not_asked_while_both_secrets_name_one_host() {
    let pair = Pair::new(16, Power::Superuser).await;
    let rds = listing(&[], pair.app.server.port()).await;
    let world = pair.world_with(&[("AWS_ENDPOINT_URL_RDS", rds.url().as_str())], |_| ()).await;
    world.rotate().await.unwrap();
    assert_eq!(rds.calls(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_differ_where_rds_may_not_be_asked_are_named_with_the_missing_action() {
    let pair = Pair::new(16, Power::Superuser).await;
    for (proxies, parts) in [
        // A host that is not an RDS name is no failure of the API. AWS's function ends in a bare exception here.
        (Entry::Proxy("some", "some.proxy-x.rds.test"), ["setSecret: NotOurs:", "127.0.0.1", "same host"]),
        (Entry::Proxy("denied", "x"), ["setSecret: AccessDenied:", "127.0.0.1", "rds:DescribeDBProxies"]),
    ] {
        let rds = listing(&[Entry::Instance("one", "localhost", ""), proxies], pair.app.server.port()).await;
        let url = rds.url();
        let env = [("AWS_ENDPOINT_URL_RDS", url.as_str())];
        let world = pair.world_with(&env, |secret| secret["host"] = "127.0.0.1".into()).await;
        let error = world.rotate().await.unwrap_err();
        for part in parts {
            assert!(error.contains(part), "no {part} in {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_of_an_admin_secret_that_rds_made_is_looked_up() {
    // The compiled-in roots do not cover this server. Its own root is added as a deployment would add one.
    let server = Postgres::version(16).start().await.unwrap();
    let pair = Pair::on(server.into(), Power::Superuser).await;
    let rds = listing(&FLEET, pair.app.server.port()).await;
    let (url, roots) = (rds.url(), pair.app.server.ca_pem().to_owned());
    let env = [("AWS_ENDPOINT_URL_RDS", url.as_str()), ("EXTRA_CA_PEM", roots.as_str())];
    let cluster = "arn:aws:rds:us-east-1:000000000000:cluster:app";
    let instance = |name: &str| format!("arn:aws:rds:us-east-1:000000000000:db:{name}");
    for (key, arn, expected) in [
        ("aws:rds:primaryDBClusterArn", cluster, Ok(())),
        ("AWS:RDS:PRIMARYDBCLUSTERARN", cluster, Ok(())),
        ("aws:rds:primaryDBInstanceArn", &instance("gone"), Err("does not exist")),
        ("aws:rds:primaryDBInstanceArn", &instance("app-1"), Err("app-1.x.rds.test")),
        ("aws:cloudformation:stack-name", "app", Err("names no host")),
    ] {
        let pair = Pair::on(pair.app.server.clone(), Power::Superuser).await;
        let world = pair.app.world_with(&env, |secret| secret["masterarn"] = ADMIN_SECRET.into()).await;
        let value = json!({"username": pair.admin, "password": pair.admin_password});
        let secrets = world.lab.secrets();
        secrets.create(ADMIN_SECRET, &value.to_string()).unwrap();
        secrets.tag_as_service(ADMIN_SECRET, "aws:secretsmanager:owningService", "rds").unwrap();
        secrets.tag_as_service(ADMIN_SECRET, key, arn).unwrap();
        let outcome = world.rotate().await;
        match expected {
            Ok(()) => drop(outcome.unwrap_or_else(|error| panic!("{key} {arn}: {error}"))),
            Err(part) => {
                let error = outcome.expect_err(part);
                assert!(error.contains(part), "{key} {arn}: {error}");
            }
        }
    }
}
