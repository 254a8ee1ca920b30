//! Each kind of certificate fails, or succeeds, for its own reason: shown by a real TLS handshake.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use lab::certs::{Authority, Kind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig, ServerConnection,
};

/// What a client that trusts the authority says to a server with this kind of certificate.
fn handshake(kind: Kind, name: &'static str) -> Result<(), Error> {
    let authority = Authority::new();
    let identity = authority.issue(kind);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap(),
        )
        .unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name.try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut &wire[..]).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_good_certificate_is_accepted_by_name_and_by_address() {
    assert_eq!(handshake(Kind::Good, "localhost"), Ok(()));
    assert_eq!(handshake(Kind::Good, "127.0.0.1"), Ok(()));
}

#[test]
fn wrong_name_is_refused_for_its_name() {
    let error = handshake(Kind::WrongName, "localhost").unwrap_err();
    assert!(
        matches!(error, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })),
        "{error:?}"
    );
    assert_eq!(handshake(Kind::WrongName, "elsewhere.invalid"), Ok(()));
}

#[test]
fn expired_is_refused_for_its_date() {
    let error = handshake(Kind::Expired, "localhost").unwrap_err();
    assert!(matches!(error, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error:?}");
}

#[test]
fn unknown_authority_is_refused_for_its_signature() {
    let error = handshake(Kind::UnknownAuthority, "localhost").unwrap_err();
    let authority_is_the_reason = matches!(
        error,
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
    );
    assert!(authority_is_the_reason, "{error:?}");
}
