//! `rotate-redshift`: every strategy on Redshift's stand-in.

use std::sync::Arc;

use lab::servers::{Redshift, Tls};
use rotation_tests::moto::{Case, Moto, Place};

use crate::FIRST;

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_rotates_three_times_on_redshifts_stand_in() {
    let moto = Moto::start().await.unwrap();
    let function = moto.function("rotate-redshift").await.unwrap();
    let server = Redshift::shared(Tls::Good).await.unwrap();
    for strategy in ["single-user", "admin", "alternating-users"] {
        let case = case(&server, strategy).await;
        let users = moto.rotates_three_times(&function, &case).await;
        let users = users.unwrap_or_else(|error| panic!("{error}"));
        let user = case.user.clone();
        let other = if strategy == "alternating-users" { format!("{user}_clone") } else { user.clone() };
        assert_eq!(users, [other.clone(), user, other], "{strategy}");
    }
}

async fn case(server: &Arc<Redshift>, strategy: &'static str) -> Case {
    let user = format!("moto_{}_{}", std::process::id(), strategy.replace('-', "_"));
    server.execute(&format!("CREATE USER {user} PASSWORD '{FIRST}'")).await.unwrap();
    let place =
        Place { engine: "redshift", host: server.host(), port: server.port(), ca_pem: server.ca_pem() };
    let values = vec![place.value(&user, FIRST)];
    let admin = place.value(server.admin(), server.admin_password());
    let server = Arc::clone(server);
    Case::new(user, strategy, values, admin, move |user, password| {
        let server = Arc::clone(&server);
        async move { server.can_login(&user, &password).await }
    })
}
