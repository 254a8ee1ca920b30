//! A service, a provider file that leads to it, a secret with its first key, and the function that rotates it.

use std::time::Duration;

use lab::Options;
use lab::runtime::Function;
use lab::world::World;
use serde_json::{Value, json};

use super::dialect::ADMIN;
use super::issuer::{Dialect, Issuer};
use super::plain_dialect;

/// Everything around one secret.
pub(crate) struct Scene {
    pub(crate) issuer: Issuer,
    pub(crate) world: World,
    pub(crate) folder: tempfile::TempDir,
}

/// The differences between a scene and the plain one.
pub(crate) struct Setting<'a> {
    /// The built-in provider.
    pub(crate) like: &'a str,
    /// How the service answers.
    pub(crate) dialect: Dialect,
    /// The secret's field with the key, and the one with its id.
    pub(crate) fields: (&'a str, &'a str),
    pub(crate) more: Value,
    pub(crate) admin: Option<Value>,
    /// Further lines of the provider file, before its tables.
    pub(crate) top: &'a str,
    pub(crate) tables: &'a str,
    /// Further variables of the function's environment.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// The port through which the function reaches the service, if not the service's own.
    pub(crate) port: Option<u16>,
    /// How long the function may take for a step.
    pub(crate) timeout: Duration,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Setting {
            like: "http",
            dialect: plain_dialect::http,
            fields: ("key", "id"),
            more: json!({}),
            admin: None,
            top: "",
            tables: "",
            env: &[],
            port: None,
            timeout: Duration::from_secs(30),
        }
    }
}

impl Scene {
    /// The plainest scene: the conventions of `http.toml`.
    pub(crate) async fn plain() -> Scene {
        Scene::new(Setting::default()).await
    }

    pub(crate) async fn new(setting: Setting<'_>) -> Scene {
        let issuer = Issuer::start(setting.dialect).await;
        Scene::around(issuer, setting).await
    }

    /// The same with a service that is already running.
    pub(crate) async fn around(issuer: Issuer, setting: Setting<'_>) -> Scene {
        let port = setting.port.unwrap_or(issuer.port);
        let folder = provider_folder(&format!(
            "name = \"mine\"\nlike = \"{}\"\n{}\n[servers]\napi = \"http://127.0.0.1:{port}\"\nresource = \"http://127.0.0.1:{port}\"\n{}",
            setting.like, setting.top, setting.tables
        ));
        let first = issuer.store().issue("first-{random}", "made by hand");
        let mut secret = json!({"provider": "mine", "note": {"kept": [1, 2.50]}});
        secret[setting.fields.0] = first.value.clone().into();
        if setting.like == "gitlab" {
            // The function asks GitLab for the first key's id, which is a number.
        } else if !setting.fields.1.is_empty() {
            secret[setting.fields.1] = first.id.clone().into();
        }
        for (name, value) in setting.more.as_object().unwrap() {
            secret[name] = value.clone();
        }
        if setting.admin.is_some() {
            secret["masterarn"] = "prod/admin".into();
        }
        let path = folder.path().to_str().unwrap();
        let env = [
            &[("PROVIDERS_DIR", path), ("ALLOW_PRIVATE_ADDRESSES", "true"), ("ALLOW_DIAGNOSE", "true")],
            setting.env,
        ]
        .concat();
        let binary = Function::build("rotate-api-key").expect("the function is built");
        let function = Function::new("rotate-api-key", [binary]).timeout(setting.timeout);
        let function = env.iter().fold(function, |function, (name, value)| function.env(name, value));
        let world = World::of(Options::default(), function, &secret).await.expect("the world starts");
        if let Some(admin) = &setting.admin {
            world.lab.secrets().create("prod/admin", &admin.to_string()).expect("the admin's secret is made");
        }
        Scene { issuer, world, folder }
    }

    pub(crate) fn rewrite(&self, text: &str) {
        std::fs::write(self.folder.path().join("mine.toml"), text).expect("the file is written");
    }

    /// The keys that the secret holds under its labels, sorted.
    pub(crate) fn held(&self, field: &str) -> Vec<String> {
        let labels = ["AWSCURRENT", "AWSPREVIOUS"];
        let values = labels.iter().filter_map(|label| self.world.labelled(label));
        let mut held: Vec<String> = values.map(|value| value[field].as_str().unwrap().to_owned()).collect();
        held.sort();
        held
    }

    /// Checks that exactly the keys in the secret are alive.
    #[track_caller]
    pub(crate) fn only_held_keys_live(&self, field: &str) {
        assert_eq!(self.issuer.live(), self.held(field), "what is alive, and what the secret holds");
    }

    pub(crate) fn accepts(&self, value: &Value, field: &str) -> bool {
        self.issuer.store().of(value[field].as_str().unwrap()).is_some()
    }
}

/// A folder with one provider file, `mine.toml`.
pub(crate) fn provider_folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("mine.toml"), text).expect("the file is written");
    folder
}

pub(crate) fn admin(field: &str) -> Option<Value> {
    Some(json!({field: ADMIN}))
}
