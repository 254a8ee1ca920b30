//! `rotate-postgres`: every strategy and shape of a pair, on every version.

use std::sync::Arc;

use lab::servers::Postgres;
use lab::sweep::{Accepts, Answer};
use rotation_tests::moto::{Case, Moto};
use serde_json::{Value, json};

const FIRST: &str = "F1rst-pa55-under-moto";

/// A case's name, its strategy, what the secret says beyond that, and what is made for it; `{}` is the user.
type Shape = (&'static str, &'static str, Value, &'static str);

fn shapes() -> [Shape; 5] {
    let two = "alternating-users";
    [
        ("one", "single-user", json!({}), ""),
        ("admin", "admin", json!({}), ""),
        ("suffix", two, json!({}), ""),
        (
            "owner",
            two,
            json!({"owner_role": "{}_owner"}),
            "CREATE ROLE {}_owner; GRANT {}_owner TO {}; ALTER ROLE {} SET role TO {}_owner",
        ),
        (
            "pair",
            two,
            json!({"alternate_username": "{}_blue"}),
            "CREATE ROLE {}_blue LOGIN PASSWORD 'F1rst-pa55-under-moto'",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_and_shape_rotates_three_times_on_every_postgresql() {
    let moto = Moto::start().await.unwrap();
    let function = moto.function("rotate-postgres").await.unwrap();
    for version in Postgres::versions().await.unwrap() {
        let server = Postgres::shared(version).await.unwrap();
        for shape in shapes() {
            let case = case(&server, version, shape).await;
            let users = moto.rotates_three_times(&function, &case).await;
            let users = users.unwrap_or_else(|error| panic!("PostgreSQL {version}, {error}"));
            let user = &case.secrets[0].0;
            let other = match case.name.as_str() {
                "suffix" | "owner" => format!("{user}_clone"),
                "pair" => format!("{user}_blue"),
                _ => user.clone(),
            };
            assert_eq!(users, [other.clone(), user.clone(), other], "PostgreSQL {version}, {}", case.name);
        }
    }
}

async fn case(server: &Arc<Postgres>, version: u32, (name, strategy, more, made): Shape) -> Case {
    let user = format!("moto_{version}_{}_{name}", std::process::id());
    server.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD '{FIRST}'")).await.unwrap();
    server.execute(&made.replace("{}", &user)).await.unwrap();
    let admin_name = format!("admin-of-{user}");
    let value = |username: &str, password: &str| {
        json!({
            "engine": "postgres", "host": server.host(), "port": server.port(), "username": username,
            "password": password, "sslrootcert": server.ca_pem(),
        })
    };
    let mut current = value(&user, FIRST);
    for (key, text) in more.as_object().unwrap() {
        current[key] = text.as_str().unwrap().replace("{}", &user).into();
    }
    if strategy != "single-user" {
        current["masterarn"] = admin_name.as_str().into();
    }
    let mut values = vec![current.clone()];
    if let Some(other) = current["alternate_username"].as_str() {
        // A version that opens the second user proves that it belongs to this secret.
        let mut older = current.clone();
        older["username"] = other.into();
        older["original_username"] = user.as_str().into();
        values.insert(0, older);
    }
    let admin = value(server.superuser(), server.superuser_password());
    let server = Arc::clone(server);
    let accepts: Accepts = Arc::new(move |value: Value| {
        let server = Arc::clone(&server);
        Box::pin(async move {
            let text = |key: &str| value[key].as_str().unwrap();
            server.can_login(text("username"), text("password"), "postgres").await.unwrap()
        }) as Answer<bool>
    });
    Case {
        name: name.to_owned(),
        strategy,
        secrets: vec![(user, values), (admin_name, vec![admin])],
        accepts,
    }
}
