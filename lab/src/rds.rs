//! A stand-in for the RDS API as its reference describes it, as far as a rotation needs it: the query protocol, XML answers,
//! pages of two entries.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::lock::locked;

/// The number of entries on a page; the real service sends a hundred.
const PAGE: usize = 2;

/// One entry of RDS's lists.
pub enum Entry {
    /// Name, endpoint, further XML.
    Instance(&'static str, &'static str, &'static str),
    /// Name, writer endpoint, further XML.
    Cluster(&'static str, &'static str, &'static str),
    /// Name, endpoint.
    Proxy(&'static str, &'static str),
    /// The proxy's name, endpoint.
    ProxyEndpoint(&'static str, &'static str),
    /// The proxy's name, and the XML of a target.
    Target(&'static str, &'static str),
}

/// A running stand-in.
pub struct Rds {
    port: u16,
    calls: Arc<Mutex<Vec<String>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Rds {
    /// Starts a stand-in that lists these entries: instances and clusters of these two engines. Their databases listen on this
    /// port.
    pub async fn start(engines: [&str; 2], entries: &[Entry], database: u16) -> io::Result<Rds> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (seen, lists) = (Arc::clone(&calls), Arc::new(lists(engines, entries, database)));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&lists), Arc::clone(&seen)));
            }
        });
        Ok(Rds { port, calls, server })
    }

    /// The value for `AWS_ENDPOINT_URL_RDS`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request body so far.
    pub fn calls(&self) -> Vec<String> {
        locked(&self.calls).clone()
    }
}

impl Drop for Rds {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// By operation: the element around the entries, and each entry with the name and ARN by which a caller can ask for it.
type Lists = BTreeMap<&'static str, (&'static str, Vec<(String, String)>)>;

fn lists([instance, cluster]: [&str; 2], entries: &[Entry], port: u16) -> Lists {
    let arn = |kind: &str, name: &str| format!("arn:aws:rds:us-east-1:000000000000:{kind}:{name}");
    let mut lists = Lists::from([
        ("DescribeDBInstances", ("DBInstances", Vec::new())),
        ("DescribeDBClusters", ("DBClusters", Vec::new())),
        ("DescribeDBProxies", ("DBProxies", Vec::new())),
        ("DescribeDBProxyEndpoints", ("DBProxyEndpoints", Vec::new())),
        ("DescribeDBProxyTargets", ("Targets", Vec::new())),
    ]);
    for entry in entries {
        let (operation, names, xml) = match entry {
            Entry::Instance(name, host, rest) => (
                "DescribeDBInstances",
                format!("{name} {}", arn("db", name)),
                format!(
                    "<DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier><DBInstanceArn>{}</DBInstanceArn><Engine>{instance}</Engine>\
                     <Endpoint><Address>{host}</Address><Port>{port}</Port></Endpoint>{rest}</DBInstance>",
                    arn("db", name)
                ),
            ),
            Entry::Cluster(name, host, rest) => (
                "DescribeDBClusters",
                format!("{name} {}", arn("cluster", name)),
                format!(
                    "<DBCluster><DBClusterIdentifier>{name}</DBClusterIdentifier><DBClusterArn>{}</DBClusterArn><Engine>{cluster}</Engine>\
                     <Endpoint>{host}</Endpoint><Port>{port}</Port>{rest}</DBCluster>",
                    arn("cluster", name)
                ),
            ),
            Entry::Proxy(name, host) => (
                "DescribeDBProxies",
                (*name).to_owned(),
                format!("<member><DBProxyName>{name}</DBProxyName><Endpoint>{host}</Endpoint></member>"),
            ),
            Entry::ProxyEndpoint(proxy, host) => (
                "DescribeDBProxyEndpoints",
                (*proxy).to_owned(),
                format!("<member><DBProxyName>{proxy}</DBProxyName><Endpoint>{host}</Endpoint></member>"),
            ),
            Entry::Target(proxy, xml) => {
                ("DescribeDBProxyTargets", (*proxy).to_owned(), format!("<member>{xml}</member>"))
            }
        };
        lists.get_mut(operation).expect("every operation has a list").1.push((names, xml));
    }
    lists
}

async fn answer(mut stream: TcpStream, lists: Arc<Lists>, seen: Arc<Mutex<Vec<String>>>) {
    while let Some(body) = request(&mut stream).await {
        locked(&seen).push(body.clone());
        let (status, xml) = respond(&body, &lists);
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n", xml.len());
        if stream.write_all(format!("{head}{xml}").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads the body of the next request on a connection.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(body.to_owned());
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn respond(body: &str, lists: &Lists) -> (&'static str, String) {
    let field = |name: &str| {
        let value = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.replace("%3A", ":").replace("%2F", "/"))
    };
    let action = field("Action").unwrap_or_default();
    let error = |code: &str, status| {
        let xml = format!(
            "<ErrorResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{action}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
        );
        (status, xml)
    };
    let Some((around, entries)) = lists.get(action.as_str()) else {
        return error("InvalidAction", "400 Bad Request");
    };
    let wanted = ["DBInstanceIdentifier", "DBClusterIdentifier", "DBProxyName"].into_iter().find_map(field);
    let found: Vec<&String> = entries
        .iter()
        .filter(|(names, _)| wanted.as_ref().is_none_or(|wanted| names.split(' ').any(|name| name == wanted)))
        .map(|(_, xml)| xml)
        .collect();
    // Targets are asked for by the name of their proxy, which may have none.
    let is_known = |name: &String| {
        action == "DescribeDBProxyTargets"
            && lists["DescribeDBProxies"].1.iter().any(|(names, _)| names == name)
    };
    if found.is_empty() && wanted.as_ref().is_some_and(|wanted| !is_known(wanted)) {
        return error(&format!("{}NotFoundFault", around.trim_end_matches('s')), "404 Not Found");
    }
    if entries.iter().any(|(names, _)| names.split(' ').next() == Some("denied")) {
        return error("AccessDenied", "403 Forbidden");
    }
    let from: usize = field("Marker").and_then(|marker| marker.parse().ok()).unwrap_or(0);
    let page: String = found.iter().skip(from).take(PAGE).map(|xml| xml.as_str()).collect();
    let marker =
        if from + PAGE < found.len() { format!("<Marker>{}</Marker>", from + PAGE) } else { String::new() };
    let xml = format!(
        "<{action}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><{action}Result><{around}>{page}</{around}>{marker}</{action}Result>\
         <ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{action}Response>"
    );
    ("200 OK", xml)
}
