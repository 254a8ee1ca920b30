//! What the demo rotates: the password of a real PostgreSQL, or without a database the keys of a small service.

use std::io;
use std::path::Path;
use std::sync::Arc;

use lab::Lab;
use lab::continuity::{Attempt, Login};
use lab::rotation::Step;
use lab::runtime::Function;
use lab::servers::Postgres;
use lab::world::World;
use serde_json::{Value, json};

use super::issuer::{self, Issuer, PROVIDER};
use crate::failure::Failure;

/// One server, with one account for each rotation.
pub(super) enum Subject {
    Postgres(Arc<Postgres>),
    Keys(Issuer),
}

impl Subject {
    /// The function that rotates this subject.
    pub(super) fn function(&self) -> &'static str {
        match self {
            Subject::Postgres(_) => "rotate-postgres",
            Subject::Keys(_) => "rotate-api-key",
        }
    }

    /// What the subject is, and its address.
    pub(super) fn place(&self) -> String {
        match self {
            Subject::Postgres(server) => format!("PostgreSQL on {}:{}", server.host(), server.port()),
            Subject::Keys(issuer) => format!("a service that issues keys on {}", issuer.address()),
        }
    }

    /// The strategies to show: the requested ones, or the only one for keys.
    pub(super) fn strategies<'a>(&self, asked: &'a [String]) -> Vec<&'a str> {
        match self {
            Subject::Postgres(_) => asked.iter().map(String::as_str).collect(),
            Subject::Keys(_) => vec!["two-keys"],
        }
    }

    /// Whether a strategy promises that no client is refused.
    pub(super) fn overlaps(&self, strategy: &str) -> bool {
        matches!(strategy, "alternating-users" | "two-keys")
    }

    /// What a step does.
    pub(super) fn tells(&self, step: Step) -> &'static str {
        match (self, step) {
            (Subject::Postgres(_), Step::CreateSecret) => "a new password is made and stored as AWSPENDING",
            (Subject::Postgres(_), Step::SetSecret) => "the server is told to accept it",
            (Subject::Postgres(_), Step::TestSecret) => "it logs in",
            (Subject::Postgres(_), Step::FinishSecret) => "it logs in again, and AWSCURRENT moves to it",
            (Subject::Keys(_), Step::CreateSecret) => "the service issues a key, stored as AWSPENDING",
            (Subject::Keys(_), Step::SetSecret) => "the service made it, so nothing is left to set",
            (Subject::Keys(_), Step::TestSecret) => "it is accepted, and a made-up one is not",
            (Subject::Keys(_), Step::FinishSecret) => "it is accepted again, and AWSCURRENT moves to it",
        }
    }

    /// The field with the credential.
    pub(super) fn credential(&self) -> &'static str {
        match self {
            Subject::Postgres(_) => "password",
            Subject::Keys(_) => "key",
        }
    }

    /// The user or key id in a value, which is not secret.
    pub(super) fn name<'a>(&self, value: &'a Value) -> Option<&'a str> {
        match self {
            Subject::Postgres(_) => value["username"].as_str(),
            Subject::Keys(_) => value["id"].as_str(),
        }
    }

    /// What else must be true at the end.
    pub(super) fn promise(&self, world: &World) -> (bool, &'static str) {
        match self {
            Subject::Postgres(_) => (true, "nothing else was promised"),
            Subject::Keys(issuer) => {
                let held = world.values();
                let held: Vec<&str> = held.iter().filter_map(|value| value["key"].as_str()).collect();
                let alive = issuer.alive();
                let same = alive.len() == held.len() && alive.iter().all(|key| held.contains(&key.as_str()));
                (same, "exactly those keys are alive that the secret holds")
            }
        }
    }

    /// How a client logs in with a value.
    pub(super) fn login(&self) -> Login {
        let word = |value: &Value, key: &str| {
            value[key].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("no login in the secret"))
        };
        match self {
            Subject::Postgres(server) => {
                let server = Arc::clone(server);
                Arc::new(move |value: Value| -> Attempt {
                    let server = Arc::clone(&server);
                    Box::pin(async move {
                        let (user, password) = (word(&value, "username")?, word(&value, "password")?);
                        server.can_login(&user, &password, "postgres").await
                    })
                })
            }
            Subject::Keys(issuer) => {
                let address = issuer.address();
                Arc::new(move |value: Value| -> Attempt {
                    Box::pin(async move { issuer::accepts(address, &word(&value, "key")?).await })
                })
            }
        }
    }

    /// A Secrets Manager with the secret of a new account, and the function.
    pub(super) async fn world(&self, strategy: &str, binary: &Path) -> Result<World, Failure> {
        let lab = Lab::start(lab::Options::default()).await?;
        let function =
            Function::new(self.function(), [binary]).env("SECRETS_MANAGER_ENDPOINT", lab.endpoint());
        let (secret, function) = match self {
            Subject::Postgres(server) => (account(server, strategy, &lab).await?, function),
            Subject::Keys(issuer) => {
                let first = issuer.first();
                let secret = json!({"provider": PROVIDER, "key": first.value, "id": first.id});
                let folder = issuer.folder().display().to_string();
                // The service is at a private address, which a function refuses unless told otherwise.
                (secret, function.env("PROVIDERS_DIR", folder).env("ALLOW_PRIVATE_ADDRESSES", "true"))
            }
        };
        let function = Arc::new(function.start().await?);
        lab.attach(self.function(), function.clone());
        let name = "prod/app".to_owned();
        lab.secrets().create(&name, &secret.to_string())?;
        lab.secrets().enable_rotation(&name, self.function())?;
        Ok(World { lab, function, secret: name })
    }
}

/// Creates an account and its secret's value, and the admin's secret if the strategy needs one.
async fn account(server: &Postgres, strategy: &str, lab: &Lab) -> Result<Value, Failure> {
    let user = format!("app_{}", strategy.replace('-', "_"));
    let password = format!("first-{:032x}", rand::random::<u128>());
    server.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'")).await?;
    let mut secret = json!({
        "engine": "postgres", "host": server.host(), "port": server.port(), "dbname": "postgres",
        "username": user, "password": password, "sslrootcert": server.ca_pem(), "strategy": strategy,
    });
    if strategy != "single-user" {
        let mut admin = secret.clone();
        admin["username"] = json!(server.superuser());
        admin["password"] = json!(server.superuser_password());
        secret["masterarn"] = json!(lab.secrets().create("prod/admin", &admin.to_string())?);
    }
    Ok(secret)
}
