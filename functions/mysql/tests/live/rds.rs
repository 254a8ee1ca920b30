//! Servers run by RDS: which host names are the same server, and the address for an admin secret that RDS made. PostgreSQL's
//! tests check these shared rules name by name. These tests only check that the function applies them for its engines.

use lab::rds::{Entry, Rds};
use lab::rotation::Step;
use lab::servers::{MySql, Release};
use lab::world::World;
use serde_json::{Value, json};

use super::app::{App, FIRST};

/// An Aurora cluster whose writer is the server under test, an instance with a replica, and a stranger.
const FLEET: [Entry; 5] = [
    Entry::Cluster("app", "localhost", "<ReaderEndpoint>app.cluster-ro-x.rds.test</ReaderEndpoint>"),
    Entry::Instance("app-1", "app-1.x.rds.test", "<DBClusterIdentifier>app</DBClusterIdentifier>"),
    Entry::Instance(
        "replica",
        "replica.x.rds.test",
        "<ReadReplicaSourceDBClusterIdentifier>app</ReadReplicaSourceDBClusterIdentifier>",
    ),
    Entry::Instance("other", "other.x.rds.test", ""),
    // Each name may belong to one server only, so this entry is left out when names are compared.
    Entry::Instance("one", "localhost", ""),
];

fn engines(app: &App) -> [&'static str; 2] {
    if app.is_mariadb() { ["mariadb", "aurora-mysql"] } else { ["mysql", "aurora-mysql"] }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_acts_for_readers_members_and_replicas_of_its_server_and_for_no_other() {
    for release in MySql::releases().await.unwrap() {
        for (host, accepted) in [
            ("app.cluster-ro-x.rds.test", true),
            ("APP-1.x.rds.test.", true),
            ("replica.x.rds.test", true),
            ("other.x.rds.test", false),
            ("app-1.attacker.test", false),
        ] {
            let app = App::new(release).await;
            let rds = Rds::start(engines(&app), &FLEET[..4], app.server.port()).await.unwrap();
            let url = rds.url();
            let env = [("AWS_ENDPOINT_URL_RDS", url.as_str())];
            let elsewhere = |secret: &mut Value| secret["host"] = host.into();
            let world = app.world_of("admin", &env, elsewhere, |_| ()).await;
            let token = world.begin().unwrap();
            world.step(&token, Step::CreateSecret).await.unwrap();
            let outcome = world.step(&token, Step::SetSecret).await.map_err(|error| error.to_string());
            // Both the guard's login and the change happen on the admin's host.
            assert_eq!(app.has(FIRST).await, !accepted, "{release} {host}: {outcome:?}");
            match outcome {
                Ok(()) => assert!(accepted, "{release}: {host} was accepted"),
                Err(error) => {
                    assert!(!accepted && error.starts_with("NotOurs:"), "{release} {host}: {error}")
                }
            }
            assert!(rds.calls().iter().any(|call| call.contains("DescribeDBClusters")));
        }
    }
}

/// A world with an admin secret as RDS makes it: a user, a password, and tags.
async fn managed(app: &App, rds: &Rds, key: &str, arn: &str) -> World {
    let (url, roots, admin) = (rds.url(), app.server.ca_pem().to_owned(), app.admin().await);
    let env = [("AWS_ENDPOINT_URL_RDS", url.as_str()), ("EXTRA_CA_PEM", roots.as_str())];
    let world = app.world_with(&env, |secret| {
        secret["masterarn"] = "prod/admin".into();
    });
    let world = world.await;
    let value = json!({"username": admin["username"], "password": admin["password"]});
    let secrets = world.lab.secrets();
    secrets.create("prod/admin", &value.to_string()).expect("the admin's secret is made");
    secrets.tag_as_service("prod/admin", "aws:secretsmanager:owningService", "rds").expect("it is tagged");
    secrets.tag_as_service("prod/admin", key, arn).expect("it is tagged");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_of_an_admin_secret_that_rds_made_is_looked_up() {
    for release in MySql::releases().await.unwrap() {
        let arn = |kind: &str, name: &str| format!("arn:aws:rds:us-east-1:000000000000:{kind}:{name}");
        for (key, arn) in [
            ("aws:rds:primaryDBClusterArn", arn("cluster", "app")),
            ("aws:rds:primaryDBInstanceArn", arn("db", "one")),
        ] {
            // MariaDB has no Aurora clusters.
            if release.flavor != Release::MYSQL_9.flavor && key.contains("Cluster") {
                continue;
            }
            let server = MySql::release(release).start().await.unwrap();
            let app = App::on(server.into()).await;
            let rds = Rds::start(engines(&app), &FLEET, app.server.port()).await.unwrap();
            let world = managed(&app, &rds, key, &arn).await;
            world.rotate().await.unwrap_or_else(|error| panic!("{release} {key}: {error}"));
            let current = world.current();
            assert!(app.accepts(&current).await && current["username"] == format!("{}_clone", app.user));
        }
    }
}
