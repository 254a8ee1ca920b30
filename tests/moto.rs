//! Functions rotate against moto as they do against the lab.

use lab::runtime::Function;
use lab::servers::Postgres;
use rotation_tests::moto::Moto;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_single_user_rotates_three_times_on_every_postgresql() {
    let moto = Moto::start().await.unwrap();
    let binary = Function::build("rotate-postgres").unwrap();
    let function =
        Function::new("rotate-postgres", [binary]).env("SECRETS_MANAGER_ENDPOINT", moto.endpoint());
    let function = function.start().await.unwrap();
    for version in Postgres::versions().await.unwrap() {
        let server = Postgres::shared(version).await.unwrap();
        let user = format!("moto_{version}_{}", std::process::id());
        server.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'F1rst-pa55-under-moto'")).await.unwrap();
        let value = json!({
            "engine": "postgres", "host": server.host(), "port": server.port(), "username": user,
            "password": "F1rst-pa55-under-moto", "sslrootcert": server.ca_pem(),
        });
        moto.call("CreateSecret", json!({"Name": user, "SecretString": value.to_string()})).await.unwrap();
        for round in 1..=3 {
            let token = moto.begin(&user).await.unwrap();
            for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
                let event = json!({"SecretId": user, "ClientRequestToken": token, "Step": step});
                let answer = function.invoke(event).await;
                answer.unwrap_or_else(|error| panic!("PostgreSQL {version}, rotation {round}: {error}"));
            }
            let current = moto.current(&user).await.unwrap();
            let password = current["password"].as_str().unwrap();
            assert_ne!(password, "F1rst-pa55-under-moto");
            assert!(server.can_login(&user, password, "postgres").await.unwrap());
        }
    }
}
