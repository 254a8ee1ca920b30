//! A provider file as it is written: every key there is, and what it means. Unknown keys and wrong types are refused by the
//! reader with their line; what only makes sense together is checked in `check`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::Spanned;

use super::pointer::{Pointer, Source};
use super::template::{Json, Template, Variable};

/// A template, and where it stands.
pub type Place = Spanned<Template>;

/// The whole file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The name; a secret asks for it with `"provider"`.
    pub name: Spanned<String>,
    /// A built-in provider whose tables hold wherever this file has none.
    pub like: Option<Spanned<String>>,
    /// Whether the old key works until it is revoked; true unless said otherwise.
    pub overlap: Option<bool>,
    /// Which key is revoked: the previous one (by default), the current one before a new one is made, or never one.
    pub revoke: Option<Revoke>,
    /// For how many seconds a new key may still be refused.
    pub ready_within: Option<u8>,
    /// The servers, by the names that calls use: `https://HOST` or `https://HOST:PORT`, to the letter.
    pub servers: Option<BTreeMap<String, Spanned<Origin>>>,
    /// Other servers under the same names, for secrets that ask for a `"site"`.
    pub sites: Option<BTreeMap<String, BTreeMap<String, Spanned<Origin>>>>,
    /// What the secret holds.
    pub secret: Option<Shape>,
    /// How keys are made, where the service does not make them.
    pub make: Option<Make>,
    /// How calls are authorised.
    pub auth: Option<BTreeMap<String, Auth>>,
    /// The calls.
    #[serde(default)]
    pub call: Calls,
}

/// Which key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revoke {
    /// The one that AWSPREVIOUS holds, before the labels move.
    Previous,
    /// The one that AWSCURRENT holds, before a new one is made: for services that allow one key.
    Current,
    /// None: keys run out, or are not the service's to revoke.
    Never,
}

/// What the secret holds.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The field with the key.
    pub key: Spanned<String>,
    /// The field in which the service's name for the key is kept.
    pub id: Option<String>,
    /// Fields that templates use and anyone may see.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Fields that templates use and nobody may see.
    #[serde(default)]
    pub hidden: Vec<String>,
    /// Fields of the admin secret; of the secret itself where it names no admin.
    #[serde(default)]
    pub admin: Vec<String>,
}

impl Shape {
    /// Whether anyone may see a field.
    pub fn shows(&self, name: &String) -> bool {
        self.id.as_ref() == Some(name) || self.fields.contains(name)
    }

    /// Whether templates may use a field.
    pub fn declares(&self, name: &String) -> bool {
        self.shows(name) || self.hidden.contains(name) || self.key.get_ref() == name
    }
}

/// How a key is made here.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Make {
    /// How long it is.
    pub length: usize,
    /// Whether it may have more than letters and digits.
    #[serde(default)]
    pub punctuation: bool,
}

/// How a call is authorised.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Headers, such as `Authorization = "Bearer {{key}}"`.
    #[serde(default)]
    pub headers: BTreeMap<String, Place>,
    /// HTTP basic authentication.
    pub basic: Option<Basic>,
}

impl Auth {
    /// Every template of the authorisation.
    pub fn templates(&self) -> impl Iterator<Item = &Place> {
        self.headers.values().chain(self.basic.iter().flat_map(|basic| [&basic.user, &basic.password]))
    }
}

/// A user and a password.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub user: Place,
    /// The password.
    pub password: Place,
}

/// The calls, by what they are for.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Makes a key at the service.
    pub issue: Option<Call>,
    /// Makes the service accept a key that was made here.
    pub put: Option<Call>,
    /// Whether a key is accepted.
    pub test: Option<Call>,
    /// The keys that there are.
    pub list: Option<Call>,
    /// Ends a key.
    pub revoke: Option<Call>,
    /// Gets the token that `{{access}}` stands for, or opens what the calls with `after = "token"` need.
    pub token: Option<Call>,
}

/// A call that another one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// `[call.token]`.
    Token,
}

/// One HTTP request, and what its answer means. Which keys go with which call is checked in `check`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Which server; "api" unless said otherwise.
    pub server: Option<Spanned<String>>,
    /// GET, POST, PUT, PATCH or DELETE; GET unless said otherwise.
    #[serde(default, deserialize_with = "method")]
    pub method: http::Method,
    /// The path, beginning with a slash. Values are escaped as one segment each.
    pub path: Place,
    /// The query. A pair whose value comes out empty is left away.
    #[serde(default)]
    pub query: BTreeMap<String, Place>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Place>,
    /// The name of an `[auth.NAME]`.
    pub auth: Option<Spanned<String>>,
    /// A call that has to be carried out right before, though this one does not use `{{access}}`: where a service asks for a
    /// password again.
    pub after: Option<After>,
    /// A JSON body.
    pub json: Option<Spanned<Json>>,
    /// A form body.
    pub form: Option<BTreeMap<String, Place>>,
    /// The statuses that mean yes; 200 to 299 unless said otherwise.
    pub success: Option<Vec<u16>>,
    /// The statuses that mean that the key is refused; 401 unless said otherwise.
    pub rejected: Option<Vec<u16>>,
    /// The statuses that mean that the key is gone already; 404 and 410 unless said otherwise.
    pub gone: Option<Vec<u16>>,
    /// revoke: what stands in the answer of a yes if the key is gone already, for services that say so there.
    #[serde(default)]
    pub gone_if: BTreeMap<Pointer, serde_json::Value>,
    /// Further statuses that mean: later, and nothing was done. 429 always does.
    #[serde(default)]
    pub later: Vec<u16>,
    /// Whether the call may be repeated when its outcome is not known; GET, PUT, DELETE and calls with
    /// `{{idempotency}}` may unless said otherwise.
    pub repeat: Option<bool>,
    /// What has to stand in the answer of a yes, such as `"/valid" = true`.
    #[serde(default)]
    pub expect: BTreeMap<Pointer, serde_json::Value>,
    /// If there is something here, the answer is a no, whatever its status; one place, or a list of them.
    #[serde(default, deserialize_with = "places")]
    pub failure: Vec<Pointer>,
    /// Where a no gives its reason; one place, or a list of which the first counts that is there.
    #[serde(default, deserialize_with = "places")]
    pub reason: Vec<Pointer>,
    /// issue: the fields of the secret, and where in the answer they are.
    #[serde(default)]
    pub store: BTreeMap<String, Spanned<Source>>,
    /// issue: those of them that may be missing; then the field keeps its value.
    #[serde(default)]
    pub optional: Vec<String>,
    /// list: where the keys are.
    pub entries: Option<Pointer>,
    /// list: in a key, its id. test: the id of the key that was accepted.
    pub id: Option<Pointer>,
    /// list: in a key, its name.
    pub label: Option<Pointer>,
    /// list: in a key, its value, where the service shows that.
    pub key: Option<Pointer>,
    /// list: in a key, when it was made: RFC 3339, or seconds since 1970.
    pub created: Option<Pointer>,
    /// list: the number of the first page; 1 unless said otherwise. Numbered pages are read until one has nothing new.
    pub first_page: Option<u32>,
    /// list: where the answer says how to go on; nothing there means the end.
    pub next: Option<Pointer>,
    /// list: what `next` shows is a URL, and this is the parameter to take from it.
    pub next_param: Option<String>,
    /// list: where the answer says whether there is more.
    pub more: Option<Pointer>,
    /// token: where the token is.
    pub token: Option<Pointer>,
    /// test: whether testSecret also shows that a made-up key is refused; true unless said otherwise.
    pub control: Option<bool>,
}

impl Call {
    /// Every template, and where it stands.
    pub fn templates(&self) -> Vec<&Place> {
        let maps = [&self.query, &self.headers].into_iter().chain(self.form.as_ref());
        std::iter::once(&self.path).chain(maps.flat_map(BTreeMap::values)).collect()
    }

    /// Whether it may be repeated when its outcome is not known.
    pub fn repeatable(&self) -> bool {
        let same_outcome = self.method != http::Method::POST && self.method != http::Method::PATCH;
        self.repeat.unwrap_or(same_outcome || self.is_idempotent())
    }

    /// Whether the service answers every try of one rotation with the same key.
    pub fn is_idempotent(&self) -> bool {
        self.variables().any(|variable| *variable == Variable::Idempotency)
    }

    /// Every variable in it; not those of what authorises it.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        let texts = self.templates().into_iter().flat_map(|place| place.get_ref().variables());
        texts.chain(self.json.iter().flat_map(|json| json.get_ref().variables()))
    }
}

/// A server: scheme, host and port, as the file gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether TLS is spoken; where not, only to this machine itself.
    pub https: bool,
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// As a `Host` header has it.
    pub fn authority(&self) -> String {
        let standard = if self.https { 443 } else { 80 };
        if self.port == standard { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    fn parse(text: &str) -> Option<Origin> {
        let uri: http::Uri = text.parse().ok()?;
        let parts = uri.into_parts();
        let (scheme, authority) = (parts.scheme?, parts.authority?);
        let https = scheme == http::uri::Scheme::HTTPS;
        let bare = parts.path_and_query.is_none_or(|path| path.as_str() == "/") && !text.ends_with('/');
        let plain =
            authority.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
        if !bare || !plain || !(https || scheme == http::uri::Scheme::HTTP) || authority.host().is_empty() {
            return None;
        }
        let port = match authority.port() {
            Some(_) => authority.port_u16()?,
            None if authority.as_str() != authority.host() => return None,
            None if https => 443,
            None => 80,
        };
        Some(Origin { https, host: authority.host().to_ascii_lowercase(), port })
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Origin, D::Error> {
        let text = String::deserialize(deserializer)?;
        Origin::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is not a server: write \"https://HOST\", without path, user or variables"
            ))
        })
    }
}

fn places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pointer>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Places {
        One(Pointer),
        Several(Vec<Pointer>),
    }
    let places = Places::deserialize(deserializer);
    match places.map_err(|_| D::Error::custom("this is neither a JSON pointer nor a list of them"))? {
        Places::One(place) => Ok(vec![place]),
        Places::Several(places) => Ok(places),
    }
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<http::Method, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => {
            http::Method::try_from(text.as_str()).map_err(D::Error::custom)
        }
        _ => Err(D::Error::custom(format!("{text:?} is not GET, POST, PUT, PATCH or DELETE"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        let origin = |https, host: &str, port| Some(Origin { https, host: host.into(), port });
        assert_eq!(Origin::parse("https://API.example.com"), origin(true, "api.example.com", 443));
        assert_eq!(Origin::parse("https://api.example.com:8443"), origin(true, "api.example.com", 8443));
        assert_eq!(Origin::parse("http://127.0.0.1:80"), origin(false, "127.0.0.1", 80));
        for bad in [
            "api.example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://u:p@a",
            "ftp://a",
            "https://{{secret.host}}",
            "https://a:99999",
            "https://a:",
            "https://a b",
        ] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }
}
