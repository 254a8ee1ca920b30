//! The trusted roots: the public roots and the RDS roots, compiled in, and those that a deployment or a secret adds. Nothing is read
//! from the machine, and nothing is parsed before the first connection that needs it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Kind, Result};

/// The certificate authorities of RDS in every Region, and Amazon's own (shared/data/README.md says how to refresh them).
const RDS_ROOTS: &str = include_str!("../../data/rds-ca.pem");

/// A configuration that verifies certificates. There is one for each set of extra roots, so that a rotation's logins parse the roots
/// once and can resume TLS sessions.
pub fn client_config(extra: &[&str]) -> Result<Arc<ClientConfig>> {
    static STANDARD: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static OTHERS: PerRoots<Arc<ClientConfig>> = PerRoots::new();
    if extra.is_empty() {
        return Ok(Arc::clone(STANDARD.get_or_init(|| Arc::new(with_roots(standard_roots())))));
    }
    OTHERS.of(extra, || Ok(Arc::new(with_roots(with_extra(extra)?))))
}

/// A cache of values made from the last few sets of extra roots. A rotation's logins trust one set or two, and each set means parsing
/// a hundred certificates.
pub struct PerRoots<T>(Mutex<Vec<(Vec<String>, T)>>);

/// The number of sets to keep. A process may rotate the secrets of many servers, so the cache must not grow with them.
const KEPT: usize = 4;

impl<T: Clone> PerRoots<T> {
    /// An empty cache.
    pub const fn new() -> PerRoots<T> {
        PerRoots(Mutex::new(Vec::new()))
    }

    /// The value for these roots; makes it if the cache does not have it.
    pub fn of(&self, extra: &[&str], make: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = kept.iter().find(|(roots, _)| roots == extra) {
            return Ok(made.clone());
        }
        let made = make()?;
        kept.truncate(KEPT - 1);
        kept.insert(0, (extra.iter().map(|pem| (*pem).to_owned()).collect(), made.clone()));
        Ok(made)
    }
}

impl<T: Clone> Default for PerRoots<T> {
    fn default() -> PerRoots<T> {
        PerRoots::new()
    }
}

fn with_extra(extra: &[&str]) -> Result<RootCertStore> {
    let mut roots = standard_roots();
    for pem in extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            certificate
                .map_err(|error| bad_root().because(&error))
                .and_then(|certificate| roots.add(certificate).map_err(|error| bad_root().because(&error)))?;
        }
        if roots.len() == before {
            return Err(bad_root().cause("there is no certificate in it"));
        }
    }
    Ok(roots)
}

/// The RDS roots and `extra` as text, for a driver that makes its TLS configuration itself. Such a driver brings the public roots (the
/// one `webpki-roots` of this workspace) and uses the process's crypto provider, so this also installs the provider.
pub fn private_roots(extra: &[&str]) -> Result<Vec<String>> {
    client_config(extra)?;
    // Installing it twice fails, and does no harm.
    let _ = provider().as_ref().clone().install_default();
    Ok([RDS_ROOTS].iter().chain(extra).map(|pem| (*pem).to_owned()).collect())
}

/// The one crypto provider of the process.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

fn with_roots(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn standard_roots() -> RootCertStore {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // The file is ours and tested. If a stricter parser one day refuses a root, only that root is lost.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()).flatten());
    roots
}

fn bad_root() -> Error {
    Error::new(Kind::BadSecret, "a certificate authority to trust cannot be read")
        .remedy("EXTRA_CA_PEM, SSL_CERT_FILE and the secret's sslrootcert take certificates in PEM form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_root_is_usable() {
        let listed = RDS_ROOTS.matches("-----BEGIN CERTIFICATE-----").count();
        assert_eq!(standard_roots().len(), webpki_roots::TLS_SERVER_ROOTS.len() + listed);
        assert_eq!(listed, 92);
    }

    #[test]
    fn the_same_extra_roots_are_parsed_once_and_other_roots_get_another_configuration() {
        let first = &RDS_ROOTS[..RDS_ROOTS.find("-----END").expect("a certificate ends") + 26];
        let config = client_config(&[first]).expect("a root");
        assert!(Arc::ptr_eq(&config, &client_config(&[first]).expect("a root")));
        assert!(!Arc::ptr_eq(&config, &client_config(&[first, first]).expect("two roots")));
        assert!(!Arc::ptr_eq(&config, &client_config(&[]).expect("no more roots")));
    }

    #[test]
    fn an_extra_root_that_is_no_certificate_is_refused() {
        for pem in ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(client_config(&[pem]).unwrap_err().kind(), Kind::BadSecret, "{pem}");
        }
        assert_eq!(client_config(&[RDS_ROOTS]).map(|_| ()).map_err(|error| error.report()), Ok(()));
    }
}
