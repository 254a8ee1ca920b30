//! Checks name resolution, TCP and TLS towards the database from this machine, without a login or a password.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::greeting;
use super::value::{Value, Wire};
use crate::finding::Finding;

/// Longer than a working network needs, and shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The roots of RDS, which the functions trust too.
const RDS: &[u8] = include_bytes!("../../../../shared/data/rds-ca.pem");

/// The hint if this machine cannot reach the server.
const ELSEWHERE: &str = "if only its own network can reach it, look from there with --through FUNCTION_ARN";

pub(super) async fn findings(value: &Value) -> Vec<Finding> {
    let (Some(host), Some(port), Some(wire)) = (value.host(), value.port(), value.wire()) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let addresses = match resolve(host, port).await {
        Ok(addresses) => addresses,
        Err(why) => {
            findings.push(Finding::skipped(
                "name",
                format!("{host} has no address here: {why}"),
                Some(ELSEWHERE),
            ));
            return findings;
        }
    };
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    findings.push(Finding::pass("name", format!("{host} is {}", shown.join(", "))));
    let stream = match connect(&addresses).await {
        Ok(stream) => stream,
        Err(why) => {
            let what = format!("{host}:{port} cannot be reached from here: {why}");
            findings.push(Finding::skipped("tcp", what, Some(ELSEWHERE)));
            return findings;
        }
    };
    findings.push(Finding::pass("tcp", format!("{host}:{port} answers")));
    findings.push(tls(value, wire, host, stream).await);
    findings
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| "no answer".to_owned())?;
    Ok(found.map_err(|error| error.to_string())?.collect())
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    match timeout(PATIENCE, TcpStream::connect(addresses)).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
    }
}

async fn tls(value: &Value, wire: Wire, host: &str, mut stream: TcpStream) -> Finding {
    if value.plaintext() {
        return Finding::skipped("tls", "the secret says \"ssl\": false", None);
    }
    match timeout(PATIENCE, greeting::ask_for_tls(wire, &mut stream)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => {
            return Finding::fail(
                "tls",
                "the server has no TLS, and functions refuse to rotate without it",
                "switch TLS on at the server; if plaintext is acceptable, write \"ssl\": false in the secret",
            );
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Finding::fail(
                "tls",
                format!("the server refuses this machine: {error}"),
                "it may have too many connections, or block this host: see its log",
            );
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return strange("it closed the connection");
        }
        Ok(Err(error)) => return strange(&error.to_string()),
        Err(_) => return strange("it was silent"),
    }
    let (config, name) = match (config(value), ServerName::try_from(host.to_owned())) {
        (Ok(config), Ok(name)) => (config, name),
        (Err(why), _) => {
            return Finding::fail(
                "tls",
                why,
                "\"sslrootcert\" must be the text of a PEM file, from BEGIN CERTIFICATE to END CERTIFICATE, with its line breaks",
            );
        }
        (_, Err(_)) => return Finding::fail("tls", format!("{host} is no host name"), "correct \"host\""),
    };
    match timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(_)) => Finding::pass("tls", format!("the certificate is valid for {host}")),
        Ok(Err(error)) => Finding::fail(
            "tls",
            format!("the certificate is not accepted: {error}"),
            "put your own authority into \"sslrootcert\" or EXTRA_CA_PEM; \"host\" must be a name in the certificate",
        ),
        Err(_) => strange("the handshake took too long"),
    }
}

fn strange(why: &str) -> Finding {
    Finding::fail(
        "tls",
        format!("the server there does not speak the engine's protocol: {why}"),
        "check \"engine\", \"host\" and \"port\"",
    )
}

/// The same trusted roots as the functions have, or the reason why the secret's own authority cannot be read.
fn config(value: &Value) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(RDS).flatten());
    if let Some(pem) = value.roots() {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let read = read.map_err(|error| format!("\"sslrootcert\" is not PEM: {error}"))?;
        if read.is_empty() {
            return Err("there is no certificate in \"sslrootcert\"".to_owned());
        }
        for certificate in read {
            let added = roots.add(certificate);
            added.map_err(|error| format!("\"sslrootcert\" cannot be trusted: {error}"))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
