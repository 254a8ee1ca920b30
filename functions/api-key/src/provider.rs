//! Providers: services described by files. The binary holds the built-in ones. A deployment reads its own from its folder; they
//! take precedence over built-in ones of the same name.

mod check;
mod definition;
pub mod pointer;
pub mod schema;
pub mod template;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use rotation::error::{Error, Kind, Result};

pub use check::Problem;
use definition::is_name;
pub use definition::{Provider, Sites};

impl Provider {
    /// Reads a provider file.
    pub fn read(text: &str) -> Result<Provider, Problem> {
        check::read(text, &|name| builtin(name).and_then(|text| check::parse(text).ok()))
    }
}

/// Every provider that this process may use.
pub struct Providers {
    folder: PathBuf,
    default: Option<String>,
    read: RefCell<BTreeMap<String, Rc<Provider>>>,
}

impl Providers {
    /// `folder` has the deployment's own files. `default` is the provider for secrets that name none.
    pub fn new(folder: PathBuf, default: Option<String>) -> Providers {
        Providers { folder, default, read: RefCell::default() }
    }

    /// The provider that a secret names, or else the deployment's default.
    pub fn named(&self, name: Option<&str>) -> Result<Rc<Provider>> {
        let name = name.or(self.default.as_deref()).ok_or_else(|| {
            Error::new(Kind::BadSecret, "the secret names no \"provider\", and PROVIDER is not set").remedy(
                "add \"provider\" to the secret's JSON, or set PROVIDER in the function's configuration",
            )
        })?;
        if let Some(known) = self.read.borrow().get(name) {
            return Ok(Rc::clone(known));
        }
        let text = self.text(name)?;
        let provider = Provider::read(&text).map_err(|problem| {
            let what = format!(
                "the provider file {name}.toml cannot be used: line {}: {}",
                problem.line, problem.what
            );
            Error::new(Kind::BadPolicy, what)
                .remedy("correct the file; `turnlock provider check` says the same on your machine")
        })?;
        let provider = Rc::new(provider);
        self.read.borrow_mut().insert(name.to_owned(), Rc::clone(&provider));
        Ok(provider)
    }

    fn text(&self, name: &str) -> Result<String> {
        if !is_name(name) {
            return Err(Error::new(Kind::BadSecret, "the secret's \"provider\" is not a provider's name")
                .remedy("a name has lower-case letters, digits and hyphens"));
        }
        match std::fs::read_to_string(self.folder.join(format!("{name}.toml"))) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                builtin(name).map(str::to_owned).ok_or_else(|| {
                    let known: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
                    Error::new(Kind::BadSecret, format!("there is no provider {name:?}")).remedy(format!(
                        "built in are {}; your own go into /opt/providers or PROVIDERS_DIR",
                        known.join(", ")
                    ))
                })
            }
            Err(error) => {
                Err(Error::new(Kind::BadPolicy, format!("the provider file {name}.toml cannot be read"))
                    .because(&error))
            }
        }
    }
}

/// The text of a built-in provider.
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The built-in providers.
pub const BUILTIN: &[(&str, &str)] = &[
    ("cloudflare", include_str!("../providers/cloudflare.toml")),
    ("confluent", include_str!("../providers/confluent.toml")),
    ("datadog", include_str!("../providers/datadog.toml")),
    ("fastly", include_str!("../providers/fastly.toml")),
    ("gitlab", include_str!("../providers/gitlab.toml")),
    ("http", include_str!("../providers/http.toml")),
    ("mongodb-atlas", include_str!("../providers/mongodb-atlas.toml")),
    ("newrelic", include_str!("../providers/newrelic.toml")),
    ("oauth-refresh", include_str!("../providers/oauth-refresh.toml")),
    ("openai", include_str!("../providers/openai.toml")),
    ("random", include_str!("../providers/random.toml")),
    ("sendgrid", include_str!("../providers/sendgrid.toml")),
];
