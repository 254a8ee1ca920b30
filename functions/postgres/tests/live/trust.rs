//! Trust belongs to a version: a user who can only write the secret receives no password of an older version.

use lab::servers::Postgres;
use serde_json::{Value, json};

use super::app::{App, FIRST};

/// A rotation of a secret whose AWSCURRENT is junk that somebody wrote, and whose older version was written for a server with another
/// authority. The server that listens there would take the older password.
async fn heard(junk: impl FnOnce(&App, &mut Value)) -> (App, String) {
    // Nobody else is to share a server whose log and passwords count.
    let listener = App::on(Postgres::version(16).start().await.unwrap().into()).await;
    let trusted = Postgres::shared(16).await.unwrap();
    let world = listener.world_with(&[], |secret| secret["sslrootcert"] = trusted.ca_pem().into()).await;
    let mut current = world.current();
    current["password"] = "junk that nobody has".into();
    junk(&listener, &mut current);
    world.put("00000000-0000-4000-8000-0000000000a0", &current, "AWSCURRENT").unwrap();
    let error = world.rotate().await.unwrap_err();
    (listener, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_junk_awscurrent_with_an_authority_of_its_own_hears_no_older_password() {
    let own = |listener: &App, secret: &mut Value| secret["sslrootcert"] = listener.server.ca_pem().into();
    let (listener, error) = heard(own).await;
    assert!(error.starts_with("setSecret: LockedOut:") && error.contains("the TLS handshake"), "{error}");
    assert!(listener.accepts(&json!({"password": FIRST})).await, "the older password was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_junk_awscurrent_without_tls_hears_no_older_password() {
    let (listener, error) = heard(|_, secret| secret["ssl"] = false.into()).await;
    assert!(error.starts_with("setSecret: LockedOut:") && error.contains("the TLS handshake"), "{error}");
    assert!(listener.accepts(&json!({"password": FIRST})).await, "the older password was used");
}
