//! Admin secrets made by Redshift hold no host. The API gives the address of the cluster or workgroup, and its other names.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lab::rotation::Step;
use lab::world::World;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::app::{ADMIN_SECRET, App};

/// A stand-in for the API.
#[derive(Clone)]
struct Api {
    /// The port in every endpoint.
    port: u16,
    /// The answer to every call, if the API refuses.
    refusal: Option<&'static str>,
    /// The only service that knows `localhost` and its other names; `None` if both know `localhost` alone.
    only: Option<Service>,
    calls: Arc<Mutex<Vec<String>>>,
}

/// The service for clusters, or the one for workgroups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Provisioned,
    Serverless,
}

/// The number of namespaces and workgroups, 100 on a page. The last ones are ours.
const MANY: usize = 250;

impl Api {
    /// Starts the API. Returns its URL.
    async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = self.clone();
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(async move {
                    server.serve_connection(TokioIo::new(stream), service).await.map_err(drop)
                });
            }
        });
        url
    }

    /// The address of the cluster `warehouse` or of the last workgroup, its custom domain, and its VPC endpoint.
    fn names(&self, service: Service) -> [&'static str; 3] {
        match self.only {
            Some(only) if only == service => ["localhost", "data.example.com", "endpoint.example.com"],
            Some(_) => {
                ["elsewhere.example.com", "data.elsewhere.example.com", "endpoint.elsewhere.example.com"]
            }
            None => ["localhost", "", ""],
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let target = request
            .headers()
            .get("x-amz-target")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let body = request.into_body().collect().await.expect("a whole request").to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        self.calls.lock().expect("nobody panicked").push(target.clone().unwrap_or_else(|| text.clone()));
        let (status, body) = match (target, self.refusal) {
            (None, Some(code)) => (
                400,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
                ),
            ),
            (None, None) => (200, self.provisioned(&text)),
            (Some(_), Some(code)) => (400, json!({"__type": code, "message": "no"}).to_string()),
            (Some(target), None) => {
                (200, self.serverless(&target, serde_json::from_str(&text).expect("JSON")).to_string())
            }
        };
        Response::builder().status(status).body(Full::new(Bytes::from(body))).expect("a response")
    }

    /// The operations for provisioned clusters, in the query protocol.
    fn provisioned(&self, asked: &str) -> String {
        let [_, domain, endpoint] = self.names(Service::Provisioned);
        let answer = |action: &str, result: String| {
            format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>")
        };
        if asked.contains("Action=DescribeCustomDomainAssociations") {
            let found = format!(
                "<Associations><Association><CertificateAssociations><CertificateAssociation><CustomDomainName>{domain}</CustomDomainName>\
                 <ClusterIdentifier>warehouse</ClusterIdentifier></CertificateAssociation></CertificateAssociations></Association></Associations>"
            );
            return answer("DescribeCustomDomainAssociations", found);
        }
        if asked.contains("Action=DescribeEndpointAccess") {
            let found = |owner: &str, address: &str| {
                format!(
                    "<member><ClusterIdentifier>warehouse</ClusterIdentifier><ResourceOwner>{owner}</ResourceOwner><Address>{address}</Address></member>"
                )
            };
            // Another account has a cluster of the same identifier, and has let this account make an endpoint for it.
            let all = found("000000000000", endpoint) + &found("111111111111", "lent.example.com");
            return answer(
                "DescribeEndpointAccess",
                format!("<EndpointAccessList>{all}</EndpointAccessList>"),
            );
        }
        self.clusters(asked)
    }

    /// DescribeClusters.
    fn clusters(&self, asked: &str) -> String {
        assert!(asked.contains("Action=DescribeClusters"), "{asked}");
        let [address, ..] = self.names(Service::Provisioned);
        let warehouse = format!(
            "<Cluster><ClusterIdentifier>warehouse</ClusterIdentifier><Endpoint><Address>{address}</Address><Port>{}</Port></Endpoint>\
             <ClusterNamespaceArn>arn:aws:redshift:us-east-1:000000000000:namespace:1</ClusterNamespaceArn></Cluster>",
            self.port
        );
        let paused = "<Cluster><ClusterIdentifier>paused</ClusterIdentifier></Cluster>";
        let cluster = if asked.contains("ClusterIdentifier=warehouse") {
            warehouse
        } else if asked.contains("ClusterIdentifier=") {
            paused.to_owned()
        } else {
            format!("{paused}{warehouse}")
        };
        format!(
            "<DescribeClustersResponse><DescribeClustersResult><Clusters>{cluster}</Clusters></DescribeClustersResult></DescribeClustersResponse>"
        )
    }

    /// ListNamespaces and ListWorkgroups, page by page.
    fn serverless(&self, target: &str, asked: Value) -> Value {
        let from: usize =
            asked["nextToken"].as_str().map_or(0, |token| token.parse().expect("a token of ours"));
        let to = MANY.min(from + 100);
        let last = format!("group-{}", MANY - 1);
        let [address, domain, endpoint] = self.names(Service::Serverless);
        let (key, items): (_, Vec<Value>) = match target {
            "RedshiftServerless.ListNamespaces" => (
                "namespaces",
                (from..to).map(|n| json!({"namespaceName": format!("space-{n}"), "namespaceArn": namespace(n)})).collect(),
            ),
            "RedshiftServerless.ListWorkgroups" => (
                "workgroups",
                // The second to last namespace has no workgroup.
                (from..to)
                    .filter(|n| *n != MANY - 2)
                    .map(|n| json!({"namespaceName": format!("space-{n}"), "workgroupName": format!("group-{n}"), "endpoint": {"address": if n == MANY - 1 { address.to_owned() } else { format!("group-{n}.example.com") }, "port": self.port}}))
                    .collect(),
            ),
            "RedshiftServerless.ListCustomDomainAssociations" => {
                return json!({"associations": [{"workgroupName": last, "customDomainName": domain}]});
            }
            "RedshiftServerless.ListEndpointAccess" => {
                return json!({"endpoints": [{"workgroupName": last, "address": endpoint}]});
            }
            other => panic!("{other}"),
        };
        let mut page = json!({ key: items });
        if to < MANY {
            page["nextToken"] = to.to_string().into();
        }
        page
    }
}

fn namespace(n: usize) -> String {
    format!("arn:aws:redshift-serverless:us-east-1:000000000000:namespace/{n:08}")
}

/// A world whose admin secret was made by Redshift, with this tag.
async fn world(
    app: &App,
    tag: &str,
    value: &str,
    refusal: Option<&'static str>,
) -> (World, Arc<Mutex<Vec<String>>>) {
    let calls = Arc::<Mutex<Vec<String>>>::default();
    let api = Api { port: app.server.port(), refusal, only: None, calls: calls.clone() };
    let url = api.start().await;
    // The admin's secret has no field for roots, so they come from the environment.
    let env = [
        ("AWS_ENDPOINT_URL_REDSHIFT", url.as_str()),
        ("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", &url),
        ("EXTRA_CA_PEM", app.server.ca_pem()),
    ];
    let world = app.world_with(&env, |secret| secret["masterarn"] = ADMIN_SECRET.into()).await;
    let admin = json!({"username": app.server.admin(), "password": app.server.admin_password()});
    world.lab.secrets().create(ADMIN_SECRET, &admin.to_string()).expect("the admin secret is made");
    world.lab.secrets().tag_as_service(ADMIN_SECRET, tag, value).expect("it is tagged");
    (world, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provisioned_cluster_is_found_by_the_tag() {
    let app = App::new().await;
    let arn = "arn:aws:redshift:us-east-1:000000000000:cluster:warehouse";
    let (world, calls) = world(&app, "aws:redshift:primaryClusterArn", arn, None).await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.current()["username"], app.clone_name());
    assert!(calls.lock().unwrap()[0].contains("ClusterIdentifier=warehouse"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workgroup_on_the_third_page_is_found() {
    // AWS's function reads one page of a hundred.
    let app = App::new().await;
    let (world, calls) =
        world(&app, "aws:redshift-serverless:namespaceArn", &namespace(MANY - 1), None).await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.current()["username"], app.clone_name());
    let listed = calls.lock().unwrap().iter().take(6).filter(|call| call.ends_with("ListWorkgroups")).count();
    assert_eq!(listed, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_endpoint_workgroup_or_permission_is_named() {
    let app = App::new().await;
    let serverless = "aws:redshift-serverless:namespaceArn";
    for (tag, value, refusal, parts) in [
        (serverless, namespace(MANY), None, ["BadSecret:", "no endpoint for the namespace"]),
        (serverless, namespace(MANY - 2), None, ["BadSecret:", "without a workgroup"]),
        (
            serverless,
            namespace(1),
            Some("AccessDeniedException"),
            ["AccessDenied:", "allow redshift-serverless:ListNamespaces"],
        ),
        (
            "aws:redshift:primaryClusterArn",
            "arn:cluster:paused".into(),
            None,
            ["BadSecret:", "no endpoint for the cluster"],
        ),
        (
            "aws:redshift:primaryClusterArn",
            "arn:cluster:x".into(),
            Some("ClusterNotFound"),
            ["BadSecret:", "does not exist"],
        ),
        (
            "aws:redshift:primaryClusterArn",
            "arn:cluster:x".into(),
            Some("AccessDenied"),
            ["AccessDenied:", "allow redshift:DescribeClusters"],
        ),
        ("some:other:tag", "x".into(), None, ["BadSecret:", "names no host"]),
    ] {
        let (world, _) = world(&app, tag, &value, refusal).await;
        let error = world.rotate().await.unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{tag} {value}: no {part:?} in {error}");
        }
    }
}

/// A world whose secret has this host. The admin's secret names `localhost`, which only this service knows.
async fn named(app: &App, host: &str, only: Service, refusal: Option<&'static str>) -> World {
    let url = Api { port: app.server.port(), refusal, only: Some(only), calls: Arc::default() }.start().await;
    let env = [("AWS_ENDPOINT_URL_REDSHIFT", url.as_str()), ("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", &url)];
    let world = app.world_with(&env, |secret| {
        secret["masterarn"] = ADMIN_SECRET.into();
        secret["host"] = host.into();
    });
    let world = world.await;
    let made = world.lab.secrets().create(ADMIN_SECRET, &app.admin_secret().to_string());
    made.expect("the admin secret is made");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_domain_and_a_vpc_endpoint_are_the_cluster_itself() {
    for only in [Service::Provisioned, Service::Serverless] {
        for host in ["data.example.com", "Endpoint.Example.com."] {
            let app = App::new().await;
            let world = named(&app, host, only, None).await;
            let token = world.begin().unwrap();
            world.step(&token, Step::CreateSecret).await.unwrap();
            // The admin's name leads to the server here. The other names lead nowhere, so testSecret would not find it.
            world.step(&token, Step::SetSecret).await.unwrap_or_else(|error| panic!("{host}: {error}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_redshift_does_not_list_for_the_admins_cluster_is_refused() {
    let app = App::new().await;
    for only in [Service::Provisioned, Service::Serverless] {
        for host in [
            "data.example.com.attacker.example",
            "localhost.example.com",
            "data.elsewhere.example.com",
            "endpoint.elsewhere.example.com",
            "lent.example.com",
            "127.0.0.1",
        ] {
            let world = named(&app, host, only, None).await;
            let error = world.fails(&["setSecret: NotOurs:", "is not known to be the admin's server"]).await;
            assert!(error.contains("custom domain") && app.accepts(&app.secret()).await, "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_to_learn_a_clusters_names_is_named() {
    let app = App::new().await;
    let world = named(&app, "data.example.com", Service::Provisioned, Some("AccessDenied")).await;
    world
        .fails(&["setSecret: AccessDenied:", "redshift:Describe", "is not known to be the admin's server"])
        .await;
}
