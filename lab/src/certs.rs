//! Certificates made at run time: an authority, and server certificates with a chosen flaw.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Whether a server's certificate is valid, or its flaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Valid for `localhost`, `127.0.0.1` and `::1`.
    Good,
    /// Valid, but for another host.
    WrongName,
    /// Valid until 2021.
    Expired,
    /// Signed by an authority that has the same name and another key.
    UnknownAuthority,
}

/// An authority made anew each time, so that no certificate in the repository can expire.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority with a new key.
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Turnlock lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2100, 1, 1);
        Authority {
            issuer: CertifiedIssuer::self_signed(params, new_key()).expect("the parameters are valid"),
        }
    }

    /// The certificate that clients have to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Makes a server certificate with a new key.
    pub fn issue(&self, kind: Kind) -> Identity {
        if kind == Kind::UnknownAuthority {
            return Authority::new().issue(Kind::Good);
        }
        let names = match kind {
            Kind::WrongName => vec!["elsewhere.invalid".to_owned()],
            Kind::Good | Kind::Expired | Kind::UnknownAuthority => {
                ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
            }
        };
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.distinguished_name.push(DnType::CommonName, "Turnlock lab server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(if kind == Kind::Expired { 2021 } else { 2100 }, 1, 1);
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are valid");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

/// A server's certificate and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PKCS#8 PEM.
    pub key_pem: String,
}

impl Identity {
    /// The server's side of TLS.
    pub fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.with_no_client_auth().with_single_cert(chain, key);
        config.map(|config| Arc::new(config).into()).map_err(io::Error::other)
    }

    /// Writes `server.pem` and `server.key` into the folder.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("server.pem"), &self.certificate_pem)?;
        fs::write(folder.join("server.key"), &self.key_pem)
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the operating system gives random bytes")
}
