//! What can be asked of a service on behalf of one version of the secret: issue, put, test, list, revoke.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use rotation::document::Fields;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::secret::Secret;
use serde_json::Value;

use crate::account::Account;
use crate::exchange::{Answer, Meaning, exchange};
use crate::names::Names;
use crate::provider::pointer::Source;
use crate::provider::schema::Call;
use crate::provider::template::Variable;
use crate::statement::{self, Values};

/// A listing that has more pages than this is going round in circles.
const PAGES: u32 = 100;
/// No key is longer; Secrets Manager holds 64 KiB.
const LONGEST: usize = 16 << 10;

/// A service, seen by one version of the secret.
pub struct Service<'a> {
    job: &'a Job<'a>,
    names: &'a Names,
    account: &'a Account,
    admin: &'a Fields,
    access: RefCell<Option<Secret>>,
}

/// A key as the service lists it.
pub struct Entry {
    /// The service's name for it.
    pub id: String,
    /// The name it was given.
    pub label: Option<String>,
    /// Its value, where the service shows it.
    pub key: Option<Secret>,
    /// When it was made.
    pub created: Option<SystemTime>,
}

/// The keys that there are, and the service's time.
#[derive(Default)]
pub struct Listing {
    /// The keys.
    pub entries: Vec<Entry>,
    /// When they were listed, by the service's clock.
    pub date: Option<SystemTime>,
}

/// An accepted key.
pub struct Accepted {
    /// Its id, where the answer names it: then the id is proven to be this key's.
    pub id: Option<String>,
}

/// What a call is about, beside the account.
struct About<'a> {
    label: &'a str,
    id: Option<&'a str>,
    page: u32,
    cursor: &'a str,
}

impl<'a> Service<'a> {
    /// The service of an account, with what authorises calls.
    pub fn new(job: &'a Job<'a>, names: &'a Names, account: &'a Account, admin: &'a Fields) -> Service<'a> {
        Service { job, names, account, admin, access: RefCell::default() }
    }

    /// Makes a key under a label. The new fields of the secret, each known to be secret from here on.
    pub async fn issue(&self, call: &Call, label: &str) -> Result<Vec<(String, Secret)>> {
        let answer = match self.call("issue", call, &about(label)).await? {
            Meaning::Yes(answer) => answer,
            Meaning::Rejected(words) => return Err(self.unauthorised("issue", words)),
            Meaning::Gone => return Err(Error::new(Kind::Bug, "a key was asked for, and is gone")),
        };
        let from_body = call.store.values().any(|source| matches!(source.get_ref(), Source::Body(_)));
        let json = if from_body { answer.json()? } else { Value::Null };
        let mut new = Vec::new();
        for (name, source) in &call.store {
            let found = match source.get_ref() {
                Source::Body(pointer) => pointer.text(&json).map_err(|what| answer.misunderstood(&what))?,
                Source::Header(header) => {
                    answer.headers.get(header).and_then(|value| value.to_str().ok()).map(str::to_owned)
                }
            };
            let Some(text) = found.filter(|text| !text.is_empty()) else {
                if call.optional.contains(name) {
                    continue;
                }
                return Err(answer.misunderstood(&format!("the new {name:?} is missing")));
            };
            let value = Secret::new(text);
            let shape = &self.account.provider.secret;
            if shape.id.as_ref() != Some(name) && !shape.fields.contains(name) {
                self.job.scrub.learn(&value);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "exposes a new value to the check of its characters"
            )]
            if value.len() > LONGEST || !value.expose().bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
                return Err(answer.misunderstood(&format!(
                    "the new {name:?} is no key: too long, or not printable ASCII"
                )));
            }
            new.push((name.clone(), value));
        }
        Ok(new)
    }

    /// Makes the service accept this account's key, under a label.
    pub async fn put(&self, call: &Call, label: &str) -> Result<()> {
        match self.call("put", call, &about(label)).await? {
            Meaning::Yes(_) | Meaning::Gone => Ok(()),
            Meaning::Rejected(words) => Err(self.unauthorised("put", words)),
        }
    }

    /// Whether this account's key is accepted.
    pub async fn test(&self, call: &Call) -> Result<Result<Accepted, String>> {
        match self.call("test", call, &about("")).await? {
            Meaning::Gone => Ok(Err("an answer that says it is gone".to_owned())),
            Meaning::Rejected(words) => Ok(Err(words)),
            Meaning::Yes(answer) => {
                let id = match &call.id {
                    None if self.account.provider.logs_in_by_id(call) => self.account.id.clone(),
                    None => None,
                    Some(pointer) => {
                        pointer.text(&answer.json()?).map_err(|what| answer.misunderstood(&what))?
                    }
                };
                Ok(Ok(Accepted { id }))
            }
        }
    }

    /// Every key the service lists.
    pub async fn list(&self, call: &Call) -> Result<Listing> {
        let first = call.first_page.unwrap_or(1);
        let paged = self.account.provider.uses(call, &Variable::Page);
        let mut listing = Listing::default();
        let mut cursor = String::new();
        for page in first..first + PAGES {
            let about = About { page, cursor: &cursor, ..about("") };
            let answer = match self.call("list", call, &about).await? {
                Meaning::Yes(answer) => answer,
                Meaning::Rejected(words) => return Err(self.unauthorised("list", words)),
                Meaning::Gone => return Err(Error::new(Kind::Bug, "a list was asked for, and is gone")),
            };
            let json = answer.json()?;
            let entries = entries(call, &json).map_err(|what| answer.misunderstood(&what))?;
            let found = entries.len();
            listing.entries.extend(entries);
            listing.date = answer.date();
            let next = match &call.next {
                None => None,
                Some(next) => next
                    .text(&json)
                    .map_err(|what| answer.misunderstood(&what))?
                    .filter(|next| !next.is_empty()),
            };
            let next = next.and_then(|next| continuation(call, next));
            let more = call.more.as_ref().is_none_or(|more| more.find(&json) == Some(&Value::Bool(true)));
            let go_on = match next {
                Some(next) if more && next != cursor => {
                    cursor = next;
                    true
                }
                _ => {
                    paged
                        && call.next.is_none()
                        && more
                        && found > 0
                        && call.page_size.is_none_or(|size| found >= size)
                }
            };
            if !go_on {
                return Ok(listing);
            }
        }
        let what = format!("the list of keys has more than {PAGES} pages, or never ends");
        Err(Error::new(Kind::ServerRefused, what)
            .remedy("narrow the list in the provider file (by name, owner or project)"))
    }

    /// Ends a key. One that is gone already is no failure.
    pub async fn revoke(&self, call: &Call, label: &str, id: Option<&str>) -> Result<()> {
        match self.call("revoke", call, &About { id, ..about(label) }).await? {
            Meaning::Yes(_) => Ok(()),
            Meaning::Gone => {
                tracing::info!("the key was gone already");
                Ok(())
            }
            Meaning::Rejected(words) => Err(self.unauthorised("revoke", words)),
        }
    }

    async fn call(&self, kind: &str, call: &Call, about: &About<'_>) -> Result<Meaning> {
        let provider = &self.account.provider;
        let access = if provider.uses(call, &Variable::Access) { Some(self.access().await?) } else { None };
        if call.after.is_some() {
            self.token().await?;
        }
        self.send(kind, call, about, access.as_ref()).await
    }

    async fn send(
        &self,
        kind: &str,
        call: &Call,
        about: &About<'_>,
        access: Option<&Secret>,
    ) -> Result<Meaning> {
        let provider = &self.account.provider;
        let origin = provider.server(call, self.account.site.as_deref())?;
        let request = || {
            let values = Values {
                fields: &self.account.fields,
                key: &self.account.key,
                admin: self.admin,
                access,
                id: about.id,
                label: about.label,
                prefix: &self.names.prefix,
                token: self.job.token.as_str(),
                account: &self.names.account,
                page: about.page,
                cursor: about.cursor,
                now: SystemTime::now(),
            };
            statement::request(provider, call, origin, &values)
        };
        exchange(self.job, kind, call, origin, request).await
    }

    /// The access token, asked for once.
    async fn access(&self) -> Result<Secret> {
        if let Some(known) = &*self.access.borrow() {
            return Ok(known.share());
        }
        let (call, answer) = self.token().await?;
        let place = call.token.as_ref().ok_or_else(no_token)?;
        let token = place.text(&answer.json()?);
        let token = token.map_err(|what| answer.misunderstood(&what))?.filter(|token| !token.is_empty());
        let token = Secret::new(token.ok_or_else(|| answer.misunderstood("there is no token in it"))?);
        self.job.scrub.learn(&token);
        *self.access.borrow_mut() = Some(token.share());
        Ok(token)
    }

    /// Carries out `[call.token]`.
    async fn token(&self) -> Result<(&Call, Answer)> {
        let call = self.account.provider.calls.token.as_ref().ok_or_else(no_token)?;
        match self.send("token", call, &about(""), None).await? {
            Meaning::Yes(answer) => Ok((call, answer)),
            Meaning::Rejected(words) => Err(self.unauthorised("token", words)),
            Meaning::Gone => Err(no_token()),
        }
    }

    fn unauthorised(&self, kind: &str, words: String) -> Error {
        let provider = &self.account.provider;
        let what = format!("{} refused what authorises [call.{kind}]", provider.name);
        let error = Error::new(Kind::CredentialRejected, what).cause(words);
        match (&self.account.admin, provider.overlap) {
            (Some(_), _) => error.remedy("store a working key in the admin secret that \"masterarn\" names"),
            (None, true) => error.remedy("the key in AWSCURRENT does not work (any more), or may not manage keys: store a working one, or name an admin secret as \"masterarn\""),
            (None, false) => error.remedy("the grant in AWSCURRENT was used up or revoked, and its successor was not stored: authorise again, and store the new grant with PutSecretValue"),
        }
    }
}

fn no_token() -> Error {
    Error::new(Kind::Bug, "there is no call that gets an access token")
}

fn about(label: &str) -> About<'_> {
    About { label, id: None, page: 0, cursor: "" }
}

fn entries(call: &Call, json: &Value) -> Result<Vec<Entry>, String> {
    let place = call.entries.as_ref().ok_or("there are no entries")?;
    let list = match place.find(json) {
        Some(Value::Array(list)) => list,
        _ => return Err(format!("{place} in the answer is not a list")),
    };
    let entry = |value: &Value| {
        let text = |pointer: &Option<crate::provider::pointer::Pointer>| match pointer {
            None => Ok(None),
            Some(pointer) => pointer.text(value),
        };
        let id = text(&call.id)?.filter(|id| !id.is_empty()).ok_or("a key in the list has no id")?;
        let (label, key, created) =
            (text(&call.label)?, text(&call.key)?.map(Secret::new), text(&call.created)?);
        Ok(Entry { id, label, key, created: created.as_deref().and_then(moment) })
    };
    list.iter().map(entry).collect()
}

/// Where the next page begins: what the answer says, or a parameter of the URL that it says.
fn continuation(call: &Call, next: String) -> Option<String> {
    let Some(param) = &call.next_param else { return Some(next) };
    let query = next.split_once('?')?.1.split('#').next()?;
    let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| name == param))?.1;
    Some(decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 3339, or seconds since 1970.
fn moment(text: &str) -> Option<SystemTime> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()));
    }
    SystemTime::try_from(DateTime::from_str(text, Format::DateTimeWithOffset).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_services_write_them() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(moment("1700000000"), at(1_700_000_000));
        assert_eq!(moment("2023-11-14T22:13:20Z"), at(1_700_000_000));
        assert_eq!(moment("2023-11-14T23:13:20+01:00"), at(1_700_000_000));
        assert_eq!(
            moment("2023-11-14T22:13:20.5Z"),
            Some(at(1_700_000_000).unwrap() + Duration::from_millis(500))
        );
        for text in ["", "yesterday", "-1", "2023-11-14"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn percent_encoding_is_undone_and_broken_encoding_left_alone() {
        assert_eq!(decoded("a%3Db%2"), "a=b%2");
        assert_eq!(decoded("%zz%C3%BC"), "%zzü");
    }
}
