//! What a secret holds: a provider's fields, or just the key. Also finds the fields that authorise the calls that make and end
//! keys.

use std::rc::Rc;

use rotation::engine::credential::Credential;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::document::{Document, Fields, missing};
use rotation::value::settings::Settings;
use rotation::value::strategy::Strategy;
use rotation::value::version::Stage;
use serde_json::Value;

use crate::provider::{Provider, Providers};

/// The fields that every secret of this function can have. None of them is secret.
const COMMON: &[&str] = &["engine", "provider", "site", "masterarn", "strategy"];

/// One version of the secret.
pub struct Account {
    /// The service.
    pub provider: Rc<Provider>,
    /// Every field. A plain-text secret has only the key.
    pub fields: Fields,
    /// The key.
    pub key: Secret,
    /// The service's id of the key, as the secret stores it. It proves nothing.
    pub id: Option<String>,
    /// The service's site.
    pub site: Option<String>,
    /// The ARN of the admin's secret.
    pub admin: Option<String>,
    plain: bool,
}

impl Account {
    /// Reads a version's value.
    pub fn read(document: &Document, settings: &Settings, providers: &Providers) -> Result<Account> {
        let (provider, fields, plain) = match document {
            Document::Object(fields) => {
                if fields.text("engine")?.is_some_and(|engine| engine != "api-key") {
                    return Err(Error::new(Kind::BadSecret, "the secret's \"engine\" is not \"api-key\"")
                        .remedy("attach the function for this engine, or correct \"engine\""));
                }
                (providers.named(fields.text("provider")?.as_deref())?, fields.copy(), false)
            }
            Document::Plain(key) => {
                let provider = providers.named(None)?;
                let mut fields = Fields::empty();
                #[expect(
                    clippy::disallowed_methods,
                    reason = "exposes the key to the fields that templates read"
                )]
                fields.put(provider.secret.key.get_ref(), key.expose());
                (provider, fields, true)
            }
        };
        Strategy::choose(&fields, settings.strategy, &[Strategy::TwoKeys])?;
        let shape = &provider.secret;
        let admin = fields.text("masterarn")?;
        let own = if admin.is_some() { &[][..] } else { &shape.admin };
        for name in shape.fields.iter().chain(&shape.hidden).chain(own) {
            if fields.value(name).is_none_or(|value| value.is_null() || value == "") {
                return Err(missing(name)
                    .remedy(format!("the provider {} needs \"{name}\": see its page", provider.name)));
            }
        }
        let id = match &shape.id {
            None => None,
            Some(name) => match fields.value(name) {
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => fields.text(name)?,
            },
        };
        let key = fields.secret(shape.key.get_ref())?;
        let site = fields.text("site")?;
        for call in provider.each_call() {
            provider.server(call, site.as_deref())?;
        }
        Ok(Account { fields, key, id, site, admin, plain, provider })
    }

    /// The next value of the secret: the new fields, and everything else unchanged.
    pub fn renewed(&self, new: &[(String, Secret)]) -> Document {
        #[expect(
            clippy::disallowed_methods,
            reason = "exposes the new key to the document that Secrets Manager will hold"
        )]
        let text = |secret: &Secret| secret.expose().to_owned();
        if self.plain
            && let Some((_, key)) = new.iter().find(|(name, _)| name == self.provider.secret.key.get_ref())
        {
            return Document::Plain(key.share());
        }
        let mut fields = self.fields.copy();
        for (name, value) in new {
            fields.put(name, &text(value));
        }
        Document::Object(fields)
    }

    /// The same account with another key.
    pub fn with_key(&self, key: Secret) -> Account {
        let mut fields = self.fields.copy();
        #[expect(clippy::disallowed_methods, reason = "exposes a key to the fields that templates read")]
        fields.put(self.provider.secret.key.get_ref(), key.expose());
        let (id, site, admin) = (self.id.clone(), self.site.clone(), self.admin.clone());
        Account { provider: Rc::clone(&self.provider), fields, key, id, site, admin, plain: self.plain }
    }

    /// Whether another version holds the same key: the same value, or the same id at the service.
    pub fn same_key(&self, other: &Account) -> bool {
        self.key.same_as(&other.key) || (self.id.is_some() && self.id == other.id)
    }
}

impl Credential for Account {
    fn strategy(&self) -> Strategy {
        Strategy::TwoKeys
    }

    /// Compares every field that does not come with a new key.
    fn agree(&self, other: &Account) -> Result<()> {
        let same = |what: &str, a: Option<&str>, b: Option<&str>| {
            if a == b { Ok(()) } else { Err(differing(what)) }
        };
        same("provider", Some(&self.provider.name), Some(&other.provider.name))?;
        same("site", self.site.as_deref(), other.site.as_deref())?;
        same("masterarn", self.admin.as_deref(), other.admin.as_deref())?;
        let shape = &self.provider.secret;
        let brought = |name: &String| {
            self.provider.calls.issue.as_ref().is_some_and(|issue| issue.store.contains_key(name))
        };
        for name in shape.fields.iter().chain(&shape.hidden).filter(|name| !brought(name)) {
            if self.fields.value(name) != other.fields.value(name) {
                return Err(differing(name));
            }
        }
        Ok(())
    }

    /// The key, what the service calls it, and whatever else comes with a new one.
    fn own_fields(&self) -> Vec<&str> {
        let shape = &self.provider.secret;
        let brought = self.provider.calls.issue.iter().flat_map(|issue| issue.store.keys());
        let key = std::iter::once(shape.key.get_ref());
        key.chain(&shape.id).chain(brought).map(String::as_str).collect()
    }

    fn settles(&self) -> bool {
        self.provider.sweeps()
    }
}

fn differing(name: &str) -> Error {
    Error::new(
        Kind::BadSecret,
        format!("the versions do not belong together: \"{name}\" differs from AWSCURRENT's"),
    )
    .remedy(
        "do not edit the secret while it rotates; remove AWSPENDING from the other version and rotate again",
    )
}

/// The secret texts of a value: every field that the provider does not declare public. Without a provider, every field.
pub(crate) fn secrets(document: &Document, providers: &Providers) -> Vec<Secret> {
    let fields = match document {
        Document::Plain(secret) => return vec![secret.share()],
        Document::Object(fields) => fields,
    };
    let name = fields.text("provider").ok().flatten();
    let provider = providers.named(name.as_deref()).ok();
    let declared =
        provider.iter().flat_map(|provider| provider.secret.id.iter().chain(&provider.secret.fields));
    let public: Vec<&str> = COMMON.iter().copied().chain(declared.map(String::as_str)).collect();
    fields.secrets(&public)
}

/// The fields that authorise calls: the admin secret's if the secret names one, else the secret's own.
pub(crate) async fn authority(job: &Job<'_>, account: &Account) -> Result<Fields> {
    let shape = &account.provider.secret;
    let (Some(arn), false) = (&account.admin, shape.admin.is_empty()) else {
        return Ok(account.fields.copy());
    };
    let version = job.store.labelled_other(arn, Stage::Current).await?.ok_or_else(|| {
        Error::new(Kind::BadSecret, "the admin secret (\"masterarn\") has no current version")
            .remedy("correct \"masterarn\" in the secret")
    })?;
    let fields = match version.document {
        Document::Object(fields) => fields,
        Document::Plain(key) => {
            let mut fields = Fields::empty();
            #[expect(
                clippy::disallowed_methods,
                reason = "exposes the admin's key to the fields that templates read"
            )]
            fields.put(&shape.admin[0], key.expose());
            fields
        }
    };
    for secret in fields.secrets(&[COMMON, &["only"]].concat()) {
        job.scrub.learn(&secret);
    }
    pinned(&fields, account)?;
    Ok(fields)
}

/// Checks the limits in the admin secret: `"only": {"project_id": ["42"]}`.
fn pinned(admin: &Fields, account: &Account) -> Result<()> {
    let refused = |what: String| {
        Err(Error::new(Kind::NotOurs, what)
            .remedy("the admin secret's \"only\" lists what it may be used for: correct the secret, or let the admin's owner extend the list"))
    };
    let only = match admin.value("only") {
        None => return Ok(()),
        Some(Value::Object(only)) => only,
        Some(_) => return refused("the admin secret's \"only\" is not an object".to_owned()),
    };
    for (name, allowed) in only {
        let value = account.fields.value(&name).unwrap_or_default();
        if !allowed.as_array().is_some_and(|allowed| allowed.contains(&value)) {
            return refused(format!("the admin secret may not be used for this \"{name}\""));
        }
    }
    Ok(())
}
