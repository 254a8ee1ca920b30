//! A provider file as it is written: every key that it can have, and what the key means. The reader refuses unknown keys and
//! wrong types, and names the line. `check` checks how the keys fit together.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::Spanned;

use super::pointer::{Pointer, Source};
use super::template::{Json, Template, Variable};

/// A template, and its position in the file.
pub type Place = Spanned<Template>;

/// The whole file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The provider's name. A secret names it as its `"provider"`.
    pub name: Spanned<String>,
    /// A built-in provider. Its tables apply wherever this file has none.
    pub like: Option<Spanned<String>>,
    /// Whether the old key works until it is revoked; true by default.
    pub overlap: Option<bool>,
    /// Which key is revoked: the previous one (the default), the current one before a new one is made, or none.
    pub revoke: Option<Revoke>,
    /// For how many seconds a new key may still be refused.
    pub ready_within: Option<u8>,
    /// The servers, by the names that calls use, written exactly as `https://HOST` or `https://HOST:PORT`.
    pub servers: Option<BTreeMap<String, Spanned<Origin>>>,
    /// Other servers under the same names, for secrets that name a `"site"`.
    pub sites: Option<BTreeMap<String, BTreeMap<String, Spanned<Origin>>>>,
    /// What the secret holds.
    pub secret: Option<Shape>,
    /// How the function makes keys, if the service does not make them.
    pub make: Option<Make>,
    /// How calls are authorised.
    pub auth: Option<BTreeMap<String, Auth>>,
    /// The calls.
    #[serde(default)]
    pub call: Calls,
}

/// Which key is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revoke {
    /// The key of AWSPREVIOUS, before the labels move.
    Previous,
    /// The key of AWSCURRENT, before a new one is made: for services that allow one key.
    Current,
    /// No key: keys expire, or the service cannot revoke them.
    Never,
}

/// What the secret holds.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The field with the key.
    pub key: Spanned<String>,
    /// The field that keeps the service's id of the key.
    pub id: Option<String>,
    /// Fields that templates use and anyone may see.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Fields that templates use and nobody may see.
    #[serde(default)]
    pub hidden: Vec<String>,
    /// Fields of the admin secret, or of the secret itself if that names no admin.
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
    /// The key's length in characters.
    pub length: usize,
    /// Whether it may have other characters than letters and digits.
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

/// The calls, one for each purpose.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Makes a key at the service.
    pub issue: Option<Call>,
    /// Makes the service accept a key that was made here.
    pub put: Option<Call>,
    /// Tests whether the service accepts a key.
    pub test: Option<Call>,
    /// Lists the keys at the service.
    pub list: Option<Call>,
    /// Revokes a key.
    pub revoke: Option<Call>,
    /// Gets the token that `{{access}}` stands for, or opens the session that calls with `after = "token"` need.
    pub token: Option<Call>,
}

/// A call that another call needs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// `[call.token]`.
    Token,
}

/// One HTTP request, and what its answer means. `check` checks which keys go with which call.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The server's name; "api" by default.
    pub server: Option<Spanned<String>>,
    /// GET, POST, PUT, PATCH or DELETE; GET by default.
    #[serde(default, deserialize_with = "method")]
    pub method: http::Method,
    /// The path, beginning with a slash. Each value is escaped as one segment.
    pub path: Place,
    /// The query. A pair with an empty value is left out.
    #[serde(default)]
    pub query: BTreeMap<String, Place>,
    /// More headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Place>,
    /// The name of an `[auth.NAME]` table.
    pub auth: Option<Spanned<String>>,
    /// A call to make right before this one, even if this call does not use `{{access}}`: for services that ask for a password
    /// again.
    pub after: Option<After>,
    /// A JSON body.
    pub json: Option<Spanned<Json>>,
    /// A form body.
    pub form: Option<BTreeMap<String, Place>>,
    /// The statuses that mean success; 200 to 299 by default.
    pub success: Option<Vec<u16>>,
    /// The statuses that mean that the key is refused; 401 by default.
    pub rejected: Option<Vec<u16>>,
    /// The statuses that mean that the key is gone already; 404 and 410 by default.
    pub gone: Option<Vec<u16>>,
    /// revoke: values in a successful answer that mean that the key was gone already.
    #[serde(default)]
    pub gone_if: BTreeMap<Pointer, serde_json::Value>,
    /// More statuses that mean: try later, nothing was done. 429 always means that.
    #[serde(default)]
    pub later: Vec<u16>,
    /// Whether the call may be repeated if its outcome is unknown. By default GET, PUT, DELETE and calls with `{{idempotency}}`
    /// may.
    pub repeat: Option<bool>,
    /// Values that a successful answer must have, such as `"/valid" = true`.
    #[serde(default)]
    pub expect: BTreeMap<Pointer, serde_json::Value>,
    /// If the answer has a value here, the call has failed, whatever the status. One place, or a list of places.
    #[serde(default, deserialize_with = "places")]
    pub failure: Vec<Pointer>,
    /// The place of a failure's reason. In a list of places, the first that has a value counts.
    #[serde(default, deserialize_with = "places")]
    pub reason: Vec<Pointer>,
    /// issue: the fields of the secret to store, and the place of each in the answer.
    #[serde(default)]
    pub store: BTreeMap<String, Spanned<Source>>,
    /// issue: the fields in `store` that may be missing. A missing field keeps its value.
    #[serde(default)]
    pub optional: Vec<String>,
    /// list: the place of the list of keys.
    pub entries: Option<Pointer>,
    /// list: the place of the id in a key. test: the place of the id of the accepted key.
    pub id: Option<Pointer>,
    /// list: the place of the name in a key.
    pub label: Option<Pointer>,
    /// list: the place of the value in a key, if the service shows it.
    pub key: Option<Pointer>,
    /// list: the place of the creation time in a key: RFC 3339, or seconds since 1970.
    pub created: Option<Pointer>,
    /// list: the number of the first page; 1 by default. Numbered pages are read until a page has nothing new.
    pub first_page: Option<u32>,
    /// list: the place of the next page's cursor or URL. No value there means the end.
    pub next: Option<Pointer>,
    /// list: `next` holds a URL, and the cursor is this parameter of it.
    pub next_param: Option<String>,
    /// list: the place of the flag that says whether there are more pages.
    pub more: Option<Pointer>,
    /// token: the place of the token.
    pub token: Option<Pointer>,
    /// test: whether testSecret also checks that the service refuses a made-up key; true by default.
    pub control: Option<bool>,
}

impl Call {
    /// Every template of the call except the JSON body's, with its position in the file.
    pub fn templates(&self) -> Vec<&Place> {
        let maps = [&self.query, &self.headers].into_iter().chain(self.form.as_ref());
        std::iter::once(&self.path).chain(maps.flat_map(BTreeMap::values)).collect()
    }

    /// Whether the call may be repeated if its outcome is unknown.
    pub fn repeatable(&self) -> bool {
        let same_outcome = self.method != http::Method::POST && self.method != http::Method::PATCH;
        self.repeat.unwrap_or(same_outcome || self.is_idempotent())
    }

    /// Whether the service answers every try of one rotation with the same key.
    pub fn is_idempotent(&self) -> bool {
        self.variables().any(|variable| *variable == Variable::Idempotency)
    }

    /// Every variable in the call, without those of its authorisation.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        let texts = self.templates().into_iter().flat_map(|place| place.get_ref().variables());
        texts.chain(self.json.iter().flat_map(|json| json.get_ref().variables()))
    }
}

/// A server: scheme, host and port, as the file writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether the server speaks TLS. A server without TLS must be on this machine.
    pub https: bool,
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// The server as a `Host` header names it.
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
