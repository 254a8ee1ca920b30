//! The calls to a service on behalf of one version of the secret: issue, put, test, list, revoke.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::document::Fields;
use serde_json::Value;

use crate::account::Account;
use crate::exchange::{Answer, Meaning, exchange};
use crate::listing::{self, Listing};
use crate::names::Names;
use crate::provider::pointer::Source;
use crate::provider::schema::Call;
use crate::provider::template::Variable;
use crate::statement::{self, Values};
use crate::unstored::NewFields;

/// A listing with more pages than this runs in circles.
const PAGES: u32 = 100;
/// No key is longer: Secrets Manager stores at most 64 KiB.
const LONGEST: usize = 16 << 10;

/// The acting version's access token, once it was asked for. It is shared, because services limit how many tokens they give.
pub(crate) type Access = Rc<RefCell<Option<Secret>>>;

/// A service, called on behalf of one version of the secret.
pub(crate) struct Service<'a> {
    job: &'a Job<'a>,
    names: &'a Names,
    account: &'a Account,
    admin: &'a Fields,
    access: Access,
}

pub(crate) struct Accepted {
    /// The key's id, if the answer names it. Such an id is proven to be this key's.
    pub id: Option<String>,
}

/// The parameters of a call, besides the account.
struct About<'a> {
    label: &'a str,
    id: Option<&'a str>,
    page: u32,
    cursor: &'a str,
}

impl<'a> Service<'a> {
    /// The service of an account, and the fields that authorise calls.
    pub(crate) fn new(
        job: &'a Job<'a>,
        names: &'a Names,
        account: &'a Account,
        admin: &'a Fields,
    ) -> Service<'a> {
        Service { job, names, account, admin, access: Access::default() }
    }

    /// The same service with the access token of another `Service` of this account and admin.
    #[must_use]
    pub(crate) fn sharing(self, access: &Access) -> Service<'a> {
        Service { access: Rc::clone(access), ..self }
    }

    /// Makes a key under a label. Returns the new fields of the secret. The scrubber masks the hidden ones from here on.
    pub(crate) async fn issue(&self, call: &Call, label: &str) -> Result<NewFields> {
        let answer = self.yes("issue", call, &about(label)).await?;
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
            if !self.account.provider.secret.shows(name) {
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
    pub(crate) async fn put(&self, call: &Call, label: &str) -> Result<()> {
        self.yes("put", call, &about(label)).await.map(drop)
    }

    /// Tests whether the service accepts this account's key.
    pub(crate) async fn test(&self, call: &Call) -> Result<Result<Accepted, String>> {
        let answer = match self.call("test", call, &about("")).await {
            Ok(Meaning::Yes(answer)) => answer,
            Ok(Meaning::Rejected(words)) => return Ok(Err(words)),
            // [call.token] has logged in with the key itself, so the service refused the key.
            Err(error) if error.kind() == Kind::CredentialRejected => return Ok(Err(error.story())),
            Err(error) => return Err(error),
        };
        let id = match &call.id {
            None if self.account.provider.logs_in_by_id(call) => self.account.id.clone(),
            None => None,
            Some(pointer) => pointer.text(&answer.json()?).map_err(|what| answer.misunderstood(&what))?,
        };
        Ok(Ok(Accepted { id }))
    }

    /// Every key the service lists.
    pub(crate) async fn list(&self, call: &Call) -> Result<Listing> {
        let first = call.first_page.unwrap_or(1);
        let paged = self.account.provider.uses(call, &Variable::Page) && call.next.is_none();
        let mut listing = Listing::default();
        let mut cursor = String::new();
        for page in first..first + PAGES {
            let answer = self.yes("list", call, &About { page, cursor: &cursor, ..about("") }).await?;
            let json = answer.json()?;
            let entries = listing::entries(call, &json).map_err(|what| answer.misunderstood(&what))?;
            let ours = entries.iter().filter(|entry| entry.is_under(&self.names.prefix));
            ours.filter_map(|entry| entry.key.as_ref()).for_each(|key| self.job.scrub.learn(key));
            // The service decides how long a page is, so a short page need not be the last. A service without pages answers every
            // number with the same list.
            let has_news = listing.add(entries);
            listing.date = answer.date();
            let next = listing::next(call, &json).map_err(|what| answer.misunderstood(&what))?;
            let more = call.more.as_ref().is_none_or(|more| more.find(&json) == Some(&Value::Bool(true)));
            match next {
                Some(next) if more && next != cursor => cursor = next,
                _ if more && paged && has_news => {}
                _ => return Ok(listing),
            }
        }
        let what = format!("the list of keys has more than {PAGES} pages, or never ends");
        Err(Error::new(Kind::ServerRefused, what)
            .remedy("narrow the list in the provider file (by name, owner or project)"))
    }

    /// Revokes a key. A key that is gone already is no failure.
    pub(crate) async fn revoke(&self, call: &Call, label: &str, id: Option<&str>) -> Result<()> {
        self.yes("revoke", call, &About { id, ..about(label) }).await.map(drop)
    }

    /// A call that must succeed. A refusal is an error: the service refuses the authorisation, not the key.
    async fn yes(&self, kind: &str, call: &Call, about: &About<'_>) -> Result<Answer> {
        match self.call(kind, call, about).await? {
            Meaning::Yes(answer) => Ok(answer),
            Meaning::Rejected(words) => Err(self.unauthorised(kind, words)),
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
        exchange(self.job, provider, kind, call, origin, request).await
    }

    /// The access token. It is requested only once.
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

    /// Makes the call `[call.token]`.
    async fn token(&self) -> Result<(&Call, Answer)> {
        let call = self.account.provider.calls.token.as_ref().ok_or_else(no_token)?;
        match self.send("token", call, &about(""), None).await? {
            Meaning::Yes(answer) => Ok((call, answer)),
            Meaning::Rejected(words) => Err(self.unauthorised("token", words)),
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
