//! `rotate-redshift`: every strategy on Redshift's stand-in.

use std::sync::Arc;

use lab::servers::{Redshift, Tls};
use lab::sweep::{Accepts, Answer};
use rotation_tests::moto::{Case, Moto};
use serde_json::{Value, json};

const FIRST: &str = "F1rst-pa55-under-moto";

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_rotates_three_times_on_redshifts_stand_in() {
    let moto = Moto::start().await.unwrap();
    let function = moto.function("rotate-redshift").await.unwrap();
    let server = Redshift::shared(Tls::Good).await.unwrap();
    for strategy in ["single-user", "admin", "alternating-users"] {
        let case = case(&server, strategy).await;
        let users = moto.rotates_three_times(&function, &case).await;
        let users = users.unwrap_or_else(|error| panic!("{error}"));
        let user = case.name.clone();
        let other = if strategy == "alternating-users" { format!("{user}_clone") } else { user.clone() };
        assert_eq!(users, [other.clone(), user, other], "{strategy}");
    }
}

async fn case(server: &Arc<Redshift>, strategy: &'static str) -> Case {
    let user = format!("moto_{}_{}", std::process::id(), strategy.replace('-', "_"));
    server.execute(&format!("CREATE USER {user} PASSWORD '{FIRST}'")).await.unwrap();
    let value = |username: &str, password: &str| {
        json!({
            "engine": "redshift", "host": server.host(), "port": server.port(), "username": username,
            "password": password, "sslrootcert": server.ca_pem(),
        })
    };
    let admin_name = format!("admin-of-{user}");
    let mut current = value(&user, FIRST);
    if strategy != "single-user" {
        current["masterarn"] = admin_name.as_str().into();
    }
    let admin = value(server.admin(), server.admin_password());
    let server = Arc::clone(server);
    let accepts: Accepts = Arc::new(move |value: Value| {
        let server = Arc::clone(&server);
        Box::pin(async move {
            let text = |key: &str| value[key].as_str().unwrap();
            server.can_login(text("username"), text("password")).await.unwrap()
        }) as Answer<bool>
    });
    let secrets = vec![(user.clone(), vec![current]), (admin_name, vec![admin])];
    Case { name: user, strategy, secrets, accepts }
}
