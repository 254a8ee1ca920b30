//! Opens a stream to a host name. Each stage has its own error, because an operator has to know whether DNS, the network, TLS or the
//! server failed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
pub use tokio_rustls::client::TlsStream;

use crate::deadline::Deadline;
use crate::error::{Error, Kind, Result};

/// The time limits for DNS and TCP. A host that answers takes milliseconds; a host that drops packets never answers.
const RESOLVE: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(4);
/// The time limit for a TLS handshake, which takes two round trips and some arithmetic.
pub const HANDSHAKE: Duration = Duration::from_secs(5);

/// The time limit for the first answer of a server that may be asleep. Aurora takes about 15 s to resume (Aurora User Guide, "Scaling to
/// Zero ACUs with automatic pause and resume"); after a day's pause it takes longer, and the next try meets it awake.
pub const WAKING: Duration = Duration::from_secs(20);

/// Opens a TCP connection.
pub async fn dial(deadline: Deadline, host: &str, port: u16) -> Result<TcpStream> {
    dial_within(CONNECT, deadline, host, port).await
}

/// Opens a TCP connection, and gives each address this long or as long as any host gets, whichever is longer.
pub async fn dial_within(limit: Duration, deadline: Deadline, host: &str, port: u16) -> Result<TcpStream> {
    let addresses = resolve(deadline, host, port).await?;
    connect_within(limit.max(CONNECT), deadline, host, port, &addresses).await
}

/// Opens a TCP connection to one of these addresses of a host, and to no other.
pub async fn connect(
    deadline: Deadline,
    host: &str,
    port: u16,
    addresses: &[SocketAddr],
) -> Result<TcpStream> {
    connect_within(CONNECT, deadline, host, port, addresses).await
}

async fn connect_within(
    limit: Duration,
    deadline: Deadline,
    host: &str,
    port: u16,
    addresses: &[SocketAddr],
) -> Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        let what = format!("a TCP connection to {host}:{port} ({})", address.ip());
        match deadline.within(limit, what, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Messages are small, and each one waits for its answer.
                stream.set_nodelay(true).map_err(|error| refused(host, port).because(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(connect_error(host, port, &error)),
            Err(silence) => last = Some(silence.remedy(PACKETS_DROPPED)),
        }
    }
    Err(last.unwrap_or_else(|| unresolved(host).cause("the name has no address")))
}

const PACKETS_DROPPED: &str = "packets to this host are dropped: allow the port in the server's security group for the function's \
    security group, and check the subnets' routes";

/// The addresses of a name.
pub async fn resolve(deadline: Deadline, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let lookup = tokio::net::lookup_host((host, port));
    let addresses = deadline.within(RESOLVE, format!("the address of {host}"), lookup).await;
    match addresses
        .map_err(|error| error.remedy("the name server does not answer: check the VPC's DNS settings"))?
    {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(unresolved(host).because(&error)),
    }
}

/// Turns a stream into a verified TLS stream.
pub async fn handshake<S>(
    deadline: Deadline,
    config: Arc<ClientConfig>,
    host: &str,
    port: u16,
    stream: S,
) -> Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = server_name(host)?;
    let what = format!("the TLS handshake with {host}:{port}");
    match deadline.within(HANDSHAKE, what, TlsConnector::from(config).connect(name, stream)).await? {
        Ok(stream) => Ok(stream),
        Err(error) => Err(tls_error(host, port, &error)),
    }
}

/// The name that the server's certificate has to carry.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    let plain = host.trim_end_matches('.').to_owned();
    ServerName::try_from(plain).map_err(|_| {
        Error::new(Kind::BadSecret, format!("the host {host:?} is neither a DNS name nor an address"))
    })
}

/// The error for a failed handshake, with a remedy for each cause that can be told apart.
pub fn tls_error(host: &str, port: u16, error: &io::Error) -> Error {
    use rustls::CertificateError as Bad;
    let what = format!("the TLS handshake with {host}:{port} failed");
    let failed = Error::new(Kind::Unreachable, what).because(error);
    let remedy = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        )) => {
            "the certificate is for another name: put the name that the certificate carries into the secret's host"
        }
        Some(rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature)) => {
            return failed.distrust().remedy("the server's certificate comes from an authority that is not trusted: add its PEM as the secret's sslrootcert or as EXTRA_CA_PEM");
        }
        Some(rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. })) => {
            "the server's certificate has expired: renew it on the server"
        }
        Some(rustls::Error::InvalidCertificate(_)) => {
            "the server's certificate cannot be verified: see the cause, and correct it on the server"
        }
        _ => "the peer does not speak TLS as expected, or closed the connection: see the cause",
    };
    failed.remedy(remedy)
}

fn connect_error(host: &str, port: u16, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: check the secret's host and port, and that the server runs"
        }
        _ => "see the cause; check routes and security groups between the function and the server",
    };
    refused(host, port).because(error).remedy(remedy)
}

fn refused(host: &str, port: u16) -> Error {
    Error::new(Kind::Unreachable, format!("no TCP connection to {host}:{port}"))
}

fn unresolved(host: &str) -> Error {
    Error::new(Kind::Unreachable, format!("the host name {host} does not resolve"))
        .remedy("check the secret's host, and that the function's VPC can resolve it")
}
