//! TLS that ends at the proxy. The proxy shows the client the server's own certificate. So a client that refuses this certificate
//! refuses it here too, and a login that is bound to it (PostgreSQL's channel binding) still works.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::framing::{self, Protocol};
use crate::certs::Identity;

/// Either side of a connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection whose TLS, if it has any, ends here, so that the proxy reads plain messages.
pub(super) struct Opened {
    pub(super) encrypted: bool,
    pub(super) client: Box<dyn Stream>,
    pub(super) server: Box<dyn Stream>,
    /// The bytes that the client has sent already.
    pub(super) said: BytesMut,
}

impl Opened {
    /// A connection without TLS.
    pub(super) fn plain(client: TcpStream, server: TcpStream, said: BytesMut) -> Opened {
        Opened { encrypted: false, client: Box::new(client), server: Box::new(server), said }
    }
}

/// Both sides of TLS for one server.
pub(super) struct BothSides {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl BothSides {
    pub(super) fn new(identity: &Identity) -> io::Result<BothSides> {
        let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let only = OnlyThisCertificate {
            certificate: certificate.map_err(io::Error::other)?,
            provider: Arc::clone(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config =
            config.map_err(io::Error::other)?.dangerous().with_custom_certificate_verifier(Arc::new(only));
        let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
        Ok(BothSides { acceptor: identity.acceptor()?, connector })
    }

    /// Passes on the messages before TLS. Then ends TLS on both sides, if client and server agreed on it.
    pub(super) async fn open(
        &self,
        protocol: Protocol,
        mut client: TcpStream,
        mut server: TcpStream,
    ) -> io::Result<Opened> {
        if protocol == Protocol::MySql {
            let greeting = packet(&mut server).await?;
            client.write_all(&greeting).await?;
        }
        let said = match protocol {
            Protocol::Postgres => exactly(&mut client, framing::ENCRYPTION_REQUEST_LENGTH).await?,
            Protocol::MySql => packet(&mut client).await?,
            Protocol::Resp => return self.encrypted(client, server).await,
            Protocol::Http | Protocol::Opaque => BytesMut::new(),
        };
        if !protocol.asks_for_tls(&said) {
            return Ok(Opened::plain(client, server, said));
        }
        server.write_all(&said).await?;
        if protocol == Protocol::Postgres {
            let answer = server.read_u8().await?;
            client.write_u8(answer).await?;
            if answer != b'S' {
                return Ok(Opened::plain(client, server, BytesMut::new()));
            }
        }
        self.encrypted(client, server).await
    }

    async fn encrypted(&self, client: TcpStream, server: TcpStream) -> io::Result<Opened> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let client = self.acceptor.accept(client).await?;
        let server = self.connector.connect(name, server).await?;
        Ok(Opened {
            encrypted: true,
            client: Box::new(client),
            server: Box::new(server),
            said: BytesMut::new(),
        })
    }
}

async fn exactly(from: &mut TcpStream, length: usize) -> io::Result<BytesMut> {
    let mut bytes = BytesMut::zeroed(length);
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads one MySQL packet.
async fn packet(from: &mut TcpStream) -> io::Result<BytesMut> {
    let mut bytes = exactly(from, 4).await?;
    let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
    bytes.extend_from_slice(&exactly(from, length).await?);
    Ok(bytes)
}

/// Trusts this one certificate, whatever its flaw, because the proxy knows its server.
#[derive(Debug)]
struct OnlyThisCertificate {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OnlyThisCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
