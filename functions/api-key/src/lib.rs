//! Rotates the keys of any service with an HTTP API, described by a provider file. The files: `provider` (what services are
//! like), `account` (what a secret holds), `service` (issue, put, test, list, revoke), `listing` (reads lists of keys), `keys`
//! (which keys may be revoked), `names` (the keys' names), `unstored` (keys that cannot be issued again), `statement` (requests
//! and quoting), `exchange` (tries, and what answers mean), `connect` and `address` (one request).

mod account;
pub mod address;
mod connect;
mod exchange;
mod keys;
mod listing;
pub mod names;
pub mod provider;
mod service;
pub mod statement;
mod target;
mod unstored;

use std::rc::Rc;
use std::time::Duration;

use rotation::door::event::Step;
use rotation::engine::finding::Finding;
use rotation::engine::job::Job;
use rotation::engine::parse;
use rotation::engine::target::{Diagnosis, Login, Target};
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::document::{Document, Fields};
use rotation::value::password::{PUNCTUATION, Policy, Rules};
use rotation::value::settings::{PasswordSettings, Settings};
use rotation::value::version::{Labels, Parsed, Stage};
use tokio::time::Instant;

use crate::account::Account;
use crate::keys::{Keys, Survey};
use crate::names::Names;
use crate::provider::Provider;
use crate::provider::schema::{Make, Revoke};
use crate::service::{Access, Service};
use crate::unstored::NewFields;

pub use crate::target::ApiKey;

/// The pause between two tests of a key that does not work yet.
const LOOK: Duration = Duration::from_millis(500);
/// The time that must be left of the invocation for another test.
const LEAST: Duration = Duration::from_secs(2);

/// An accepted key. It is empty if the provider has no test.
#[derive(Default)]
pub struct Session {
    /// The service's id of the key.
    id: Option<String>,
}

/// The fields that authorise changes, the access token, and the listed keys.
pub struct Writer {
    admin: Option<Fields>,
    access: Access,
    survey: Option<Survey>,
}

impl ApiKey {
    async fn issued(&self, job: &Job<'_>, current: &Parsed<Account>) -> Result<NewFields> {
        let account = &current.account;
        let provider = &account.provider;
        let Some(issue) = &provider.calls.issue else {
            return Ok(vec![new_key(&job.settings.password, account)?]);
        };
        let names = names(job).await?;
        let label = names.label(&job.token);
        if let Some(new) = self.unstored.find(&label) {
            tracing::warn!(
                "storing what an earlier try of this rotation got from the service and could not store"
            );
            let hidden = new.iter().filter(|(name, _)| !provider.secret.shows(name));
            hidden.for_each(|(_, value)| job.scrub.learn(value));
            return Ok(new);
        }
        let admin = account::authority(job, account).await?;
        let access = Access::default();
        let keys = Keys { target: self, job, names: &names, account, admin: &admin, access };
        match provider.revoke {
            Revoke::Current => keys.make_room(&current.id).await?,
            Revoke::Previous => keys.sweep_old().await?,
            Revoke::Never => {}
        }
        let new = keys.service().issue(issue, &label).await?;
        if !provider.overlap {
            self.unstored.keep(label, &new);
        }
        Ok(new)
    }

    /// Tests whether the service accepts a key. The call uses this key alone: with an admin's credential the service would accept
    /// any key, and answer with the admin's id. So [call.test] may not use the admin's fields, and its [call.token] reads them
    /// from the secret itself.
    async fn accepted(&self, job: &Job<'_>, account: &Account) -> Result<Login<Session>> {
        let Some(test) = &account.provider.calls.test else {
            return Ok(Login::Accepted(Session::default()));
        };
        let names = Names::default();
        Ok(match Service::new(job, &names, account, &account.fields).test(test).await? {
            Ok(accepted) => Login::Accepted(Session { id: accepted.id }),
            Err(words) => Login::Rejected(words),
        })
    }

    fn keys<'a>(
        &'a self,
        job: &'a Job<'a>,
        names: &'a Names,
        writer: &'a Writer,
        parsed: &'a Parsed<Account>,
    ) -> Keys<'a> {
        let admin = writer.admin.as_ref().unwrap_or(&parsed.account.fields);
        Keys { target: self, job, names, account: &parsed.account, admin, access: Rc::clone(&writer.access) }
    }

    /// Waits until a new key is accepted, for services that need a moment. If the key is still refused afterwards, testSecret
    /// reports it.
    async fn ready(&self, job: &Job<'_>, pending: &Account) -> Result<()> {
        let provider = &pending.provider;
        let (given, left) = (provider.ready_within, job.deadline.left().saturating_sub(LEAST));
        let until = Instant::now() + given.min(left);
        while Instant::now() < until {
            if let Login::Accepted(_) = self.accepted(job, pending).await? {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        if given <= left {
            return Ok(());
        }
        let what = format!("{} does not accept the new key yet", provider.name);
        Err(Error::new(Kind::CredentialRejected, what).remedy(format!(
            "a new key has {} s until it must work, and the function's time was over before: raise its timeout",
            given.as_secs()
        )))
    }
}

/// The names of the secret's keys.
async fn names(job: &Job<'_>) -> Result<Names> {
    Ok(Names::new(job.store.arn().await?))
}

fn new_key(asked: &PasswordSettings, account: &Account) -> Result<(String, Secret)> {
    let provider = &account.provider;
    let key = policy(asked, provider.make)?.generate(&mut rand::rngs::SysRng)?;
    Ok((provider.secret.key.get_ref().clone(), key))
}

fn policy(asked: &PasswordSettings, make: Make) -> Result<Policy> {
    let never = if make.punctuation { "" } else { PUNCTUATION };
    Policy::new(asked, &Rules { lengths: 16..=4096, length: make.length, exclude: "", never, mixed: false })
}

impl Target for ApiKey {
    type Account = Account;
    type Session = Session;
    type Writer = Writer;
    type Admin = Fields;

    const NAME: &'static str = "api-key";

    fn read(&self, document: &Document, settings: &Settings) -> Result<Account> {
        Account::read(document, settings, &self.providers)
    }

    fn secrets(&self, document: &Document) -> Vec<Secret> {
        account::secrets(document, &self.providers)
    }

    async fn propose(&self, job: &Job<'_>, current: &Parsed<Account>) -> Result<Document> {
        let new = self.issued(job, current).await?;
        Ok(current.account.renewed(&new))
    }

    async fn withdraw(&self, job: &Job<'_>, proposed: &Document) -> Result<()> {
        let proposed = self.read(proposed, job.settings)?;
        let provider = &proposed.provider;
        let Some(issue) = provider.calls.issue.as_ref() else { return Ok(()) };
        // Without overlap this key may be the only one that works. Memory keeps it for the next try.
        if provider.revoke == Revoke::Never || !provider.overlap {
            return Ok(());
        }
        if let Some(stored) = job.store.version(&job.token).await? {
            let stored = parse::version(self, job, stored)?;
            // A service that knows idempotency keys gave both tries the same key.
            if stored.account.same_key(&proposed) {
                return Ok(());
            }
        } else if issue.is_idempotent() {
            // The next try will get this same key, so it must stay valid.
            return Ok(());
        }
        let current = parse::current(self, job, job.store.labelled(Stage::Current).await)?;
        let (names, admin) = (names(job).await?, account::authority(job, &current.account).await?);
        let (account, access) = (&current.account, Access::default());
        let keys = Keys { target: self, job, names: &names, account, admin: &admin, access };
        keys.withdraw(&proposed).await
    }

    async fn admin(&self, job: &Job<'_>, account: &Account) -> Result<Option<Fields>> {
        match account.admin {
            Some(_) => account::authority(job, account).await.map(Some),
            None => Ok(None),
        }
    }

    async fn login(&self, job: &Job<'_>, account: &Account, _: Option<&Fields>) -> Result<Login<Session>> {
        self.accepted(job, account).await
    }

    /// There is no lock. finishSecret revokes keys from a list that was read before the second look at the labels.
    async fn writer(
        &self,
        job: &Job<'_>,
        step: Step,
        pending: &Parsed<Account>,
        admin: Option<&Fields>,
        _: Option<Session>,
    ) -> Result<Writer> {
        let mut writer = Writer { admin: admin.map(Fields::copy), access: Access::default(), survey: None };
        if step == Step::FinishSecret && pending.account.provider.revoke == Revoke::Previous {
            let names = names(job).await?;
            let survey = self.keys(job, &names, &writer, pending).survey().await?;
            writer.survey = Some(survey);
        }
        Ok(writer)
    }

    async fn is_set(&self, job: &Job<'_>, pending: &Parsed<Account>) -> Result<bool> {
        self.unstored.forget(&names(job).await?.label(&job.token));
        if pending.account.provider.calls.put.is_some() {
            return Ok(false);
        }
        self.ready(job, &pending.account).await.map(|()| true)
    }

    async fn apply(
        &self,
        job: &Job<'_>,
        writer: &mut Writer,
        _: Option<&Fields>,
        current: &Parsed<Account>,
        pending: &Parsed<Account>,
    ) -> Result<()> {
        if let Some(put) = &pending.account.provider.calls.put {
            let names = names(job).await?;
            let keys = self.keys(job, &names, writer, pending);
            keys.service().put(put, &names.label(&job.token)).await?;
            keys.still_wanted(&current.id).await?;
        }
        self.ready(job, &pending.account).await
    }

    async fn check(&self, job: &Job<'_>, session: &mut Session, pending: &Parsed<Account>) -> Result<()> {
        let account = &pending.account;
        if let (Some(named), Some(stored)) = (&session.id, &account.id)
            && named != stored
        {
            return Err(Error::new(
                Kind::NotOurs,
                "the service says that this key has another id than the secret does",
            )
            .remedy(
                "somebody stored a value under this rotation's token: remove AWSPENDING and rotate again",
            ));
        }
        if account.provider.calls.test.as_ref().is_none_or(|test| test.control == Some(false)) {
            return Ok(());
        }
        // Nobody stores this key, so the deployment's password rules do not apply to it.
        let made_up = account.with_key(new_key(&PasswordSettings::default(), account)?.1);
        match self.accepted(job, &made_up).await {
            Ok(Login::Accepted(_)) => Err(Error::new(
                Kind::NotOurs,
                format!(
                    "the service {} accepts a key that was just made up, so its test proves nothing",
                    account.provider.name
                ),
            )
            .remedy("give [call.test] a request that needs the key")),
            Ok(Login::Rejected(_)) => Ok(()),
            Err(error) => {
                tracing::info!(
                    reason = error.to_string(),
                    "whether a made-up key is refused could not be seen"
                );
                Ok(())
            }
        }
    }

    async fn before_promotion(
        &self,
        job: &Job<'_>,
        writer: &mut Writer,
        labels: &Labels,
        pending: &Parsed<Account>,
    ) -> Result<()> {
        let Some(survey) = &writer.survey else { return Ok(()) };
        let names = Names::new(&labels.arn);
        self.keys(job, &names, writer, pending).retire(survey, labels).await
    }

    async fn after_promotion(
        &self,
        job: &Job<'_>,
        writer: &mut Writer,
        labels: &Labels,
        current: &Parsed<Account>,
    ) -> Result<()> {
        let Some(survey) = &writer.survey else { return Ok(()) };
        let names = Names::new(&labels.arn);
        self.keys(job, &names, writer, current).settle(survey, labels).await
    }
}

impl Diagnosis for ApiKey {
    fn rehearse(&self, job: &Job<'_>, account: &Account) -> Result<()> {
        match account.provider.calls.issue {
            Some(_) => Ok(()),
            None => policy(&job.settings.password, account.provider.make).map(drop),
        }
    }

    async fn examine(&self, _: &Job<'_>, _: &mut Session, account: &Account) -> Vec<Finding> {
        vec![Finding::pass("provider", account.provider.describe())]
    }

    fn inspect(&self, provider: &str) -> Finding {
        match Provider::read(provider) {
            Ok(provider) => Finding::pass("provider", provider.describe()),
            Err(problem) => {
                let what = format!("line {}: {}", problem.line, problem.what);
                Finding::fail(
                    "provider",
                    &Error::new(Kind::BadPolicy, what).remedy("correct this line and check again"),
                )
            }
        }
    }
}
