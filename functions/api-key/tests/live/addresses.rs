//! The addresses that the function calls, and those that it refuses.

use std::sync::Arc;

use lab::certs::{Authority, Kind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::issuer::Issuer;
use super::plain_dialect;
use super::scene::{Scene, Setting};

const OFF: &[(&str, &str)] = &[("ALLOW_PRIVATE_ADDRESSES", "false")];

#[tokio::test(flavor = "multi_thread")]
async fn inside_addresses_are_not_called_unless_allowed() {
    let scene = Scene::new(Setting { env: OFF, ..Setting::default() }).await;
    let port = scene.issuer.port;
    for (server, reason) in [
        (format!("http://127.0.0.1:{port}"), "is not an https server"),
        (format!("https://127.0.0.1:{port}"), "which is loopback"),
        (format!("https://localhost:{port}"), "which is loopback"),
        (format!("https://[::1]:{port}"), "which is loopback"),
        ("https://169.254.169.254".to_owned(), "which is link-local"),
        ("https://10.0.0.1".to_owned(), "which is private"),
    ] {
        scene.rewrite(&format!("name = \"mine\"\nlike = \"http\"\n[servers]\napi = \"{server}\"\n"));
        scene.world.function.kill();
        let error = scene.world.rotate().await.unwrap_err();
        assert!(error.contains("NotOurs") && error.contains(reason), "{server}: {error}");
        scene.world.lab.secrets().remove_label(&scene.world.secret, "AWSPENDING").unwrap();
    }
    assert!(scene.issuer.store().log.is_empty(), "something was called");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_for_this_machine_alone() {
    let scene = Scene::plain().await;
    scene.rewrite("name = \"mine\"\nlike = \"http\"\n[servers]\napi = \"http://10.255.255.1\"\n");
    let error = scene.world.rotate().await.unwrap_err();
    assert!(error.contains("NotOurs") && error.contains("is not an https server"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified() {
    let authority = Authority::new();
    for (kind, expected) in [
        (Kind::Good, None),
        (Kind::WrongName, Some("another name")),
        (Kind::UnknownAuthority, Some("not trusted")),
    ] {
        let issuer = Issuer::start_with(plain_dialect::http, Some(acceptor(&authority, kind))).await;
        let port = issuer.port;
        let scene = Scene::around(
            issuer,
            Setting { env: &[("EXTRA_CA_PEM", &authority.pem())], ..Setting::default() },
        )
        .await;
        scene.rewrite(&format!(
            "name = \"mine\"\nlike = \"http\"\n[servers]\napi = \"https://localhost:{port}\"\n"
        ));
        match (scene.world.rotate().await, expected) {
            (Ok(_), None) => scene.only_held_keys_live("key"),
            (Err(error), Some(part)) => {
                assert!(error.contains("Unreachable") && error.contains(part), "{error}")
            }
            (outcome, _) => panic!("{kind:?}: {outcome:?}"),
        }
    }
}

fn acceptor(authority: &Authority, kind: Kind) -> TlsAcceptor {
    let identity = authority.issue(kind);
    let chain =
        CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(rotation::reach::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
