//! An RDS Proxy as the secret's host. The proxy's name leads nowhere on this machine, so a login there could only fail.

use lab::rds::{Entry, Rds};
use lab::rds_proxy::{Behind, RdsProxy};
use lab::rotation::Step;
use lab::world::World;
use serde_json::{Value, json};

use super::app::App;
use super::pair::{ADMIN_SECRET, Pair, Power};
use super::rds::listing;

const HOST: &str = "front.proxy-c0ffee1234.us-east-1.rds.amazonaws.com";
const READER: &str = "front-ro.endpoint.proxy-c0ffee1234.us-east-1.rds.amazonaws.com";

/// The API's lists are longer than a page, and hold names that are nearly the proxy's.
const FLEET: [Entry; 14] = [
    Entry::Cluster("other", "other.cluster-x.rds.test", ""),
    Entry::Cluster("app", "localhost", ""),
    Entry::Instance("alone", "localhost", ""),
    Entry::Proxy("fron", "fron.proxy-c0ffee1234.us-east-1.rds.amazonaws.com"),
    Entry::Proxy("front2", "front2.proxy-c0ffee1234.us-east-1.rds.amazonaws.com"),
    Entry::Proxy("elsewhere", "front.proxy-c0ffee1234.eu-west-1.rds.amazonaws.com"),
    Entry::Proxy("front", HOST),
    Entry::ProxyEndpoint("front2", "front2-ro.endpoint.proxy-c0ffee1234.us-east-1.rds.amazonaws.com"),
    Entry::ProxyEndpoint("fron", "fron-ro.endpoint.proxy-c0ffee1234.us-east-1.rds.amazonaws.com"),
    Entry::ProxyEndpoint("front", READER),
    Entry::Target(
        "front",
        "<Type>RDS_INSTANCE</Type><RdsResourceId>app-1</RdsResourceId><TrackedClusterId>app</TrackedClusterId>",
    ),
    Entry::Target(
        "front",
        "<Type>RDS_INSTANCE</Type><RdsResourceId>app-2</RdsResourceId><TrackedClusterId>app</TrackedClusterId>",
    ),
    Entry::Target("front", "<Type>TRACKED_CLUSTER</Type><RdsResourceId>app</RdsResourceId>"),
    Entry::Target("front2", "<Type>TRACKED_CLUSTER</Type><RdsResourceId>other</RdsResourceId>"),
];

/// An application behind a proxy; the admin's secret names the host `admin`.
async fn behind(rds: &Rds, pair: &Pair, strategy: &str, [host, admin]: [&str; 2]) -> World {
    let url = rds.url();
    let env = [("AWS_ENDPOINT_URL_RDS", url.as_str()), ("ALLOW_DIAGNOSE", "true")];
    let world = pair.app.world_with(&env, |secret| {
        secret["host"] = host.into();
        // Clients reach the proxy at a port of its own.
        secret["port"] = 6543.into();
        secret["strategy"] = strategy.into();
        secret["masterarn"] = ADMIN_SECRET.into();
    });
    let world = world.await;
    pair.add_admin(&world, ADMIN_SECRET, |secret| secret["host"] = admin.into());
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_host_is_an_rds_proxy_rotates_at_the_writer_behind_it() {
    let pair = Pair::new(16, Power::Superuser).await;
    let rds = listing(&FLEET, pair.app.server.port()).await;
    for (strategy, host, admin) in [
        ("single-user", HOST, "localhost"),
        ("single-user", READER, "localhost"),
        ("single-user", "FRONT.proxy-c0ffee1234.us-east-1.RDS.amazonaws.com.", "localhost"),
        ("admin", HOST, HOST),
        ("admin", READER, "localhost"),
    ] {
        let pair = Pair::on(pair.app.server.clone(), Power::Superuser).await;
        let world = behind(&rds, &pair, strategy, [host, admin]).await;
        let server = Behind::Postgres(pair.app.server.clone());
        let proxy = RdsProxy::start(world.lab.secrets(), &world.secret, server).await.unwrap();
        for _ in 0..2 {
            let before = world.current();
            world.rotate().await.unwrap_or_else(|error| panic!("{strategy} {host}: {error}"));
            let current = world.current();
            assert_eq!((&current["host"], &current["port"]), (&json!(host), &json!(6543)));
            assert!(proxy.lets_in(&current).await.unwrap(), "{strategy} {host}");
            assert!(!proxy.lets_in(&before).await.unwrap(), "{strategy} {host}");
        }
        assert!(world.output().contains("the host is an RDS Proxy"), "{}", world.output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_asks_rds_once_about_a_proxy() {
    let pair = Pair::new(16, Power::Superuser).await;
    let rds = listing(&FLEET, pair.app.server.port()).await;
    let world = behind(&rds, &pair, "admin", [HOST, HOST]).await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    let before = rds.calls().len();
    world.step(&token, Step::SetSecret).await.unwrap();
    let calls = rds.calls();
    let asked: Vec<_> = calls[before..].iter().filter(|call| call.contains("DescribeDBClusters")).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_behind_an_rds_proxy_are_refused_before_anything_is_made() {
    let pair = Pair::new(16, Power::Superuser).await;
    let rds = listing(&FLEET, pair.app.server.port()).await;
    let world = behind(&rds, &pair, "alternating-users", [HOST, "localhost"]).await;
    let error = world.fails(&["BadSecret", HOST, "single-user", "admin", "own endpoint", "localhost"]).await;
    assert!(error.contains("createSecret") && !error.contains("dual-password"), "{error}");
    assert_eq!(world.values().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_whose_writer_cannot_be_told_is_refused_before_anything_is_made() {
    let app = App::new(16).await;
    let cluster =
        |proxy| Entry::Target(proxy, "<Type>TRACKED_CLUSTER</Type><RdsResourceId>app</RdsResourceId>");
    let other = Entry::Target("front", "<Type>RDS_INSTANCE</Type><RdsResourceId>one</RdsResourceId>");
    let front = || Entry::Proxy("front", HOST);
    let app_cluster = || Entry::Cluster("app", "localhost", "");
    let none: [Entry; 1] = [front()];
    let several = [app_cluster(), front(), cluster("front"), other];
    let gone = [front(), cluster("front")];
    let unlisted = [Entry::Proxy("front", "front.proxy-c0ffee1234.eu-west-1.rds.amazonaws.com")];
    let proxies = [Entry::Proxy("denied", "x"), front(), cluster("front")];
    let endpoints = [Entry::ProxyEndpoint("denied", "x")];
    let targets = [front(), cluster("front"), Entry::Target("denied", "")];
    let clusters = [app_cluster(), Entry::Cluster("denied", "x", ""), front(), cluster("front")];
    for (entries, parts) in [
        (&none[..], ["BadSecret", "has no target", "register-db-proxy-targets"]),
        (&several, ["BadSecret", "several targets (one, app)", "own endpoint"]),
        (&gone, ["BadSecret", "target of the RDS Proxy \"front\"", "register-db-proxy-targets"]),
        (&unlisted, ["BadSecret", "lists no proxy with the endpoint", "another account or Region"]),
        (&proxies, ["AccessDenied", "allow rds:DescribeDBProxies", HOST]),
        (&endpoints, ["AccessDenied", "allow rds:DescribeDBProxyEndpoints", HOST]),
        (&targets, ["AccessDenied", "allow rds:DescribeDBProxyTargets", HOST]),
        (&clusters, ["AccessDenied", "allow rds:DescribeDBClusters", HOST]),
    ] {
        let rds = listing(entries, app.server.port()).await;
        let url = rds.url();
        let world =
            app.world_with(&[("AWS_ENDPOINT_URL_RDS", url.as_str())], |it| it["host"] = HOST.into()).await;
        let error = world.fails(&parts).await;
        assert!(error.contains("createSecret"), "{error}");
        assert_eq!(world.values().len(), 1, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_cannot_be_reached_is_named_beside_its_proxy() {
    let app = App::new(16).await;
    let at_port_one = listing(&FLEET, 1).await;
    let nowhere = [
        Entry::Instance("one", "one.nowhere.invalid", ""),
        Entry::Proxy("front", HOST),
        Entry::Target("front", "<Type>RDS_INSTANCE</Type><RdsResourceId>one</RdsResourceId>"),
    ];
    let nowhere = listing(&nowhere, app.server.port()).await;
    for (rds, writer) in [(at_port_one, "localhost:1"), (nowhere, "one.nowhere.invalid:")] {
        let parts = ["Unreachable", HOST, "is an RDS Proxy", &format!("writer behind it, {writer}")];
        let url = rds.url();
        let world =
            app.world_with(&[("AWS_ENDPOINT_URL_RDS", url.as_str())], |it| it["host"] = HOST.into()).await;
        world.fails(&parts).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_diagnosis_says_where_logins_go_behind_a_proxy() {
    let pair = Pair::new(16, Power::Superuser).await;
    let rds = listing(&FLEET, pair.app.server.port()).await;
    for (strategy, host, expected) in [
        ("single-user", HOST, Some("pass")),
        ("alternating-users", HOST, Some("fail")),
        ("single-user", "localhost", None),
    ] {
        let world = behind(&rds, &pair, strategy, [host, "localhost"]).await;
        if expected.is_none() {
            let mut value = world.current();
            value["port"] = pair.app.server.port().into();
            world.put(&"t".repeat(32), &value, "AWSCURRENT").unwrap();
        }
        let event = json!({"Step": "diagnose", "SecretId": world.secret});
        let report: Value = world.function.invoke(event).await.unwrap();
        let lines = report["Checks"].as_array().unwrap();
        let line = lines.iter().find(|line| line["Check"] == "proxy");
        assert_eq!(line.map(|line| line["Verdict"].as_str().unwrap()), expected, "{report}");
        if let Some(line) = line.filter(|line| line["Verdict"] == "pass") {
            let at = format!("{HOST} is an RDS Proxy; logins go to the writer behind it, localhost:");
            assert!(line["Detail"].as_str().unwrap().starts_with(&at), "{line}");
        }
    }
}
