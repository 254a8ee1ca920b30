//! Builds every request of this target, and quotes the values in it: path segments, queries, forms, JSON and headers.

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http_body_util::Full;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::document::Fields;
use rotation::value::encode::base64;
use serde_json::{Map, Value};

use crate::provider::Provider;
use crate::provider::schema::{Auth, Call, Origin};
use crate::provider::template::{Form, Json, Part, Template, Variable};

/// The values of the variables of one call. No `Debug`, because most of them are secret.
pub struct Values<'a> {
    /// The fields of the version that the call is made for.
    pub fields: &'a Fields,
    /// The key of that version.
    pub key: &'a Secret,
    /// The admin's fields.
    pub admin: &'a Fields,
    /// The access token, if the call uses one.
    pub access: Option<&'a Secret>,
    /// The service's id of the key to revoke.
    pub id: Option<&'a str>,
    /// The name of the version's key at the service.
    pub label: &'a str,
    /// The text with which the names of all keys of this secret begin.
    pub prefix: &'a str,
    /// The version that this rotation makes.
    pub token: &'a str,
    /// The AWS account of the secret.
    pub account: &'a str,
    /// The number of the page to list.
    pub page: u32,
    /// The place where the next page begins.
    pub cursor: &'a str,
    /// The current time.
    pub now: SystemTime,
}

impl Values<'_> {
    fn value(&self, variable: &Variable) -> Result<Value> {
        #[expect(clippy::disallowed_methods, reason = "exposes the key to the request that carries it")]
        let exposed = |secret: &Secret| Value::from(secret.expose());
        let field = |fields: &Fields, name: &str, whose: &str| {
            fields.value(name).filter(|value| !value.is_null()).ok_or_else(|| {
                Error::new(Kind::BadSecret, format!("{whose} has no \"{name}\"")).remedy(format!(
                    "add \"{name}\" to the JSON of {whose}; the provider's page says what it is"
                ))
            })
        };
        Ok(match variable {
            Variable::Key => exposed(self.key),
            Variable::Secret(name) => field(self.fields, name, "the secret")?,
            Variable::Admin(name) => {
                field(self.admin, name, "the admin secret (\"masterarn\"), or the secret itself,")?
            }
            Variable::Access => exposed(
                self.access.ok_or_else(|| Error::new(Kind::Bug, "the access token was not asked for"))?,
            ),
            Variable::Id => {
                self.id.ok_or_else(|| Error::new(Kind::Bug, "a key is to be revoked and has no id"))?.into()
            }
            Variable::Label => self.label.into(),
            Variable::Prefix => self.prefix.into(),
            Variable::Token => self.token.into(),
            // The label is made from the secret and the token, so a second try has the same one.
            Variable::Idempotency => self.label.into(),
            Variable::Account => self.account.into(),
            Variable::Page => self.page.into(),
            // With |json the first page sends null, because some services take an empty text for a cursor.
            Variable::Cursor if self.cursor.is_empty() => Value::Null,
            Variable::Cursor => self.cursor.into(),
            Variable::Time(days) => self.moment(*days)?.into(),
            Variable::Date(days) => self.moment(*days)?.chars().take(10).collect::<String>().into(),
        })
    }

    fn moment(&self, days: u32) -> Result<String> {
        let at = self.now + Duration::from_secs(u64::from(days) * 86_400);
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        DateTime::from_secs(seconds)
            .fmt(Format::DateTime)
            .map_err(|error| Error::new(Kind::Bug, "a time cannot be written").because(&error))
    }

    /// A template's text. `fit` escapes each value for its place.
    fn text(&self, template: &Template, fit: fn(&str) -> Result<String>) -> Result<String> {
        let mut text = String::new();
        for part in template.parts() {
            match part {
                Part::Text(own) => text.push_str(own),
                Part::Variable(variable, _) => {
                    text.push_str(&fit(&plain(&self.value(variable)?, variable)?)?)
                }
            }
        }
        Ok(text)
    }

    fn json(&self, json: &Json) -> Result<Value> {
        Ok(match json {
            Json::Literal(value) => value.clone(),
            Json::List(values) => {
                values.iter().map(|value| self.json(value)).collect::<Result<Vec<_>>>()?.into()
            }
            Json::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| Ok((name.clone(), self.json(value)?)));
                Value::Object(fields.collect::<Result<Map<String, Value>>>()?)
            }
            Json::Template(template) => match template.parts() {
                [Part::Variable(variable, Form::Number)] => number(&self.value(variable)?, variable)?,
                [Part::Variable(variable, Form::Json)] => structure(self.value(variable)?),
                _ => self.text(template, |text| Ok(text.to_owned()))?.into(),
            },
        })
    }
}

/// Makes a call's request. No value can change the request's target or kind.
pub fn request(
    provider: &Provider,
    call: &Call,
    origin: &Origin,
    values: &Values<'_>,
) -> Result<http::Request<Full<Bytes>>> {
    let path = values.text(call.path.get_ref(), segment)?;
    let mut query = Vec::new();
    for (name, template) in &call.query {
        let value = values.text(template.get_ref(), |text| Ok(text.to_owned()))?;
        if !value.is_empty() {
            query.push(format!("{}={}", escape(name), escape(&value)));
        }
    }
    let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
    let mut request = http::Request::builder()
        .method(call.method.clone())
        .uri(target)
        .header(HOST, origin.authority())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "turnlock");
    let auth = call.auth.as_ref().and_then(|name| provider.auth.get(name.get_ref()));
    for (name, template) in call.headers.iter().chain(auth.iter().flat_map(|auth| &auth.headers)) {
        let value = header(&values.text(template.get_ref(), |text| Ok(text.to_owned()))?)?;
        let name = HeaderName::try_from(name.as_str()).map_err(|error| unsendable().because(&error))?;
        // A header from the file replaces our own header of that name.
        if let Some(headers) = request.headers_mut() {
            headers.insert(name, value);
        }
    }
    if let Some(value) = auth.map(|auth| basic(auth, values)).transpose()?.flatten() {
        request = request.header(AUTHORIZATION, value);
    }
    let (body, kind) = body(call, values)?;
    if let Some(kind) = kind
        && let Some(headers) = request.headers_mut()
    {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    request.body(Full::new(body)).map_err(|error| unsendable().because(&error))
}

fn body(call: &Call, values: &Values<'_>) -> Result<(Bytes, Option<&'static str>)> {
    if let Some(json) = &call.json {
        return Ok((values.json(json.get_ref())?.to_string().into(), Some("application/json")));
    }
    if let Some(form) = &call.form {
        let mut pairs = Vec::new();
        for (name, template) in form {
            let value = values.text(template.get_ref(), |text| Ok(text.to_owned()))?;
            pairs.push(format!("{}={}", escape(name), escape(&value)));
        }
        return Ok((pairs.join("&").into(), Some("application/x-www-form-urlencoded")));
    }
    Ok((Bytes::new(), None))
}

fn basic(auth: &Auth, values: &Values<'_>) -> Result<Option<HeaderValue>> {
    let Some(basic) = &auth.basic else { return Ok(None) };
    let user = values.text(basic.user.get_ref(), |text| Ok(text.to_owned()))?;
    let password = values.text(basic.password.get_ref(), |text| Ok(text.to_owned()))?;
    if user.contains(':') {
        return Err(Error::new(Kind::BadSecret, "a user name for basic authentication has a colon"));
    }
    let pair = base64(format!("{user}:{password}"));
    header(&format!("Basic {pair}")).map(Some)
}

/// A value as text. Lists and objects have no text.
fn plain(value: &Value, variable: &Variable) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        _ => Err(wrong(variable, "is neither a text nor a number")),
    }
}

fn number(value: &Value, variable: &Variable) -> Result<Value> {
    match value {
        Value::Number(_) => Ok(value.clone()),
        Value::String(text) => {
            text.trim().parse::<i64>().map(Value::from).map_err(|_| wrong(variable, "is not a number"))
        }
        _ => Err(wrong(variable, "is not a number")),
    }
}

/// A list or an object from the secret. Some tools can only store one as text that contains JSON.
fn structure(value: Value) -> Value {
    match &value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => inner,
            _ => value,
        },
        _ => value,
    }
}

fn wrong(variable: &Variable, what: &str) -> Error {
    let name = match variable {
        Variable::Secret(name) => format!("the secret's \"{name}\""),
        Variable::Admin(name) => format!("the admin's \"{name}\""),
        _ => "a value".to_owned(),
    };
    Error::new(Kind::BadSecret, format!("{name} {what}"))
}

/// A value as one segment of a path. Characters that could end the segment are escaped; an empty value and dots are refused.
fn segment(text: &str) -> Result<String> {
    if text.is_empty() || text == "." || text == ".." {
        return Err(Error::new(
            Kind::BadSecret,
            "a value that belongs into a URL's path is empty or made of dots",
        ));
    }
    Ok(escape(text))
}

/// Percent-encodes everything but the characters that are never special (RFC 3986, section 2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A header's value. It must be printable ASCII, so that no value can begin another header.
fn header(text: &str) -> Result<HeaderValue> {
    let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let mut value = HeaderValue::from_str(text).ok().filter(|_| printable).ok_or_else(|| {
        Error::new(
            Kind::BadSecret,
            "a value that belongs into an HTTP header has characters that no header can carry",
        )
        .remedy("the value of a key or token is printable ASCII: look for a line break at its end")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn unsendable() -> Error {
    Error::new(Kind::BadPolicy, "the provider file describes a request that cannot be sent")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_in_a_path_stays_one_segment() {
        assert_eq!(segment("a/b?c#d e").unwrap(), "a%2Fb%3Fc%23d%20e");
        assert_eq!(segment("https://evil.example/x").unwrap(), "https%3A%2F%2Fevil.example%2Fx");
        assert_eq!(segment("@evil").unwrap(), "%40evil");
        assert_eq!(segment("ü").unwrap(), "%C3%BC");
        for bad in ["", ".", ".."] {
            assert_eq!(segment(bad).unwrap_err().kind(), Kind::BadSecret);
        }
    }

    #[test]
    fn a_header_takes_nothing_that_could_begin_another() {
        assert!(header("Bearer abc").is_ok());
        for bad in ["a\r\nX: y", "a\nb", "a\0b", "ä", "a\tb", "\u{7f}"] {
            assert_eq!(header(bad).unwrap_err().kind(), Kind::BadSecret, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_has_only_harmless_characters_and_can_be_read_back(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(escaped.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            let mut bytes = Vec::new();
            let mut rest = escaped.as_bytes();
            while let Some((first, behind)) = rest.split_first() {
                if *first == b'%' {
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&behind[..2]).unwrap(), 16).unwrap());
                    rest = &behind[2..];
                } else {
                    bytes.push(*first);
                    rest = behind;
                }
            }
            prop_assert_eq!(bytes, text.into_bytes());
        }
    }
}
