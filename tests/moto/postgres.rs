//! `rotate-postgres`: every strategy and shape of a pair, on every version.

use std::sync::Arc;

use lab::servers::Postgres;
use rotation_tests::moto::{Case, Moto, Place};
use serde_json::{Value, json};

use crate::FIRST;

/// A case's name, its strategy, further fields of the secret, and SQL that prepares it; `{}` stands for the user.
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
            let user = &case.user;
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
    let place =
        Place { engine: "postgres", host: server.host(), port: server.port(), ca_pem: server.ca_pem() };
    let mut current = place.value(&user, FIRST);
    for (key, text) in more.as_object().unwrap() {
        current[key] = text.as_str().unwrap().replace("{}", &user).into();
    }
    let mut values = vec![current.clone()];
    if let Some(other) = current["alternate_username"].as_str() {
        // A version that logs in as the second user proves that the user belongs to this secret.
        let mut older = current.clone();
        older["username"] = other.into();
        older["original_username"] = user.as_str().into();
        values.insert(0, older);
    }
    let admin = place.value(server.superuser(), server.superuser_password());
    let server = Arc::clone(server);
    let case = Case::new(user, strategy, values, admin, move |user, password| {
        let server = Arc::clone(&server);
        async move { server.can_login(&user, &password, "postgres").await }
    });
    case.named(name)
}
