//! A provider as the rest of the function uses it: a checked provider file.

use std::collections::BTreeMap;
use std::time::Duration;

use rotation::error::{Error, Kind, Result};

use super::schema::{Auth, Call, Calls, Make, Origin, Revoke, Shape};
use super::template::{Part, Variable};

/// A service whose keys can be rotated.
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Whether the old key works until it is revoked.
    pub overlap: bool,
    /// Which key is revoked.
    pub revoke: Revoke,
    /// How long after it was issued a new key may still be refused.
    pub ready_within: Duration,
    /// The servers, by name.
    pub servers: BTreeMap<String, Origin>,
    /// The servers of each site.
    pub sites: Sites,
    /// What the secret holds.
    pub secret: Shape,
    /// How keys are made here.
    pub make: Make,
    /// How calls are authorised.
    pub auth: BTreeMap<String, Auth>,
    /// The calls.
    pub calls: Calls,
}

/// Servers by name, by site.
pub type Sites = BTreeMap<String, BTreeMap<String, Origin>>;

impl Provider {
    /// One line that says what the provider does.
    pub fn describe(&self) -> String {
        let made = match (&self.calls.issue, &self.calls.put) {
            (Some(_), _) => "the service makes the key",
            (None, Some(_)) => "the key is made here and put to the service",
            (None, None) => "the key is made here, and nobody issues or tests it",
        };
        let overlap = if self.overlap {
            "the old key works until it is revoked"
        } else {
            "the old key ends with the new one"
        };
        let revoke = match self.revoke {
            Revoke::Previous => "a key is revoked one rotation after it was replaced",
            Revoke::Current => "the current key is revoked before a new one is made",
            Revoke::Never => "no key is revoked",
        };
        let found = match (&self.calls.issue, self.sweeps()) {
            (None, _) | (_, true) => "",
            (Some(_), false) => "; keys that a crashed try leaves behind are not found again",
        };
        format!("{}: {made}; {overlap}; {revoke}{found}", self.name)
    }

    /// Every call that the provider has.
    pub fn each_call(&self) -> impl Iterator<Item = &Call> {
        let Calls { issue, put, test, list, revoke, token } = &self.calls;
        [issue, put, test, list, revoke, token].into_iter().flatten()
    }

    /// The server of a call, for a secret with this site.
    pub fn server(&self, call: &Call, site: Option<&str>) -> Result<&Origin> {
        let name = call.server.as_ref().map_or("api", |name| name.get_ref().as_str());
        let servers = match site {
            None => &self.servers,
            Some(site) => self.sites.get(site).ok_or_else(|| {
                let known: Vec<&str> = self.sites.keys().map(String::as_str).collect();
                Error::new(Kind::BadSecret, format!("the provider {} has no site {site:?}", self.name))
                    .remedy(format!("the secret's \"site\" is one of: {}", known.join(", ")))
            })?,
        };
        servers.get(name).or_else(|| self.servers.get(name)).ok_or_else(|| {
            Error::new(Kind::BadPolicy, format!("the provider {} says nothing of its servers", self.name)).remedy(format!(
                "write a provider file with like = \"{}\" and [servers], and put it into /opt/providers or PROVIDERS_DIR",
                self.name
            ))
        })
    }

    /// Whether a call or its authorisation uses a variable.
    pub fn uses(&self, call: &Call, variable: &Variable) -> bool {
        let auth = call.auth.as_ref().and_then(|name| self.auth.get(name.get_ref()));
        let places = auth.into_iter().flat_map(Auth::templates);
        call.variables()
            .chain(places.flat_map(|place| place.get_ref().variables()))
            .any(|used| used == variable)
    }

    /// Whether a call logs in with the key's id as the user. If it is accepted, the id is the key's.
    pub fn logs_in_by_id(&self, call: &Call) -> bool {
        let auth = call.auth.as_ref().and_then(|name| self.auth.get(name.get_ref()));
        let user = auth.and_then(|auth| Some(auth.basic.as_ref()?.user.get_ref().parts()));
        match (user, &self.secret.id) {
            (Some([Part::Variable(Variable::Secret(name), _)]), Some(id)) => name == id,
            _ => false,
        }
    }

    /// Whether the test of a key shows the key's id.
    pub fn proves_id(&self) -> bool {
        self.calls.test.as_ref().is_some_and(|test| test.id.is_some() || self.logs_in_by_id(test))
    }

    /// Whether revoking a key needs the service's id for it.
    pub fn uses_revoked_id(&self) -> bool {
        self.calls.revoke.as_ref().is_some_and(|call| self.uses(call, &Variable::Id))
    }

    /// Whether the function can find and revoke keys that belong to no version any more.
    pub fn sweeps(&self) -> bool {
        let lists = self.calls.list.as_ref().is_some_and(|list| list.label.is_some());
        self.revoke == Revoke::Previous && lists && self.calls.revoke.is_some()
    }
}

/// Whether a text may name a provider: only lower-case letters, digits and hyphens, because the name becomes part of a path.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
