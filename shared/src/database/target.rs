//! Every dialect is a target: reading, agreement, the admin's login, the writer and its lock are here, once for all databases.

use std::borrow::Borrow;

use super::account::{Account, DatabaseAccount, secrets};
use super::admin::Admin;
use super::ahead::Early;
use super::dialect::{Change, Dialect, Writer};
use super::{proxy, session};
use crate::door::event::Step;
use crate::engine::finding::Finding;
use crate::engine::job::Job;
use crate::engine::target::{Diagnosis, Login, Target};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::value::document::Document;
use crate::value::password::Policy;
use crate::value::settings::Settings;
use crate::value::version::{Labels, Parsed};

impl<D: Dialect> Target for D {
    type Account = D::Account;
    type Session = D::Session;
    type Writer = Writer<D>;
    type Admin = Admin<D::Identity>;

    const NAME: &'static str = <D as Dialect>::NAME;

    fn read(&self, document: &Document, settings: &Settings) -> Result<D::Account> {
        D::Account::read(document, settings, &D::FAMILY)
    }

    fn secrets(&self, document: &Document) -> Vec<Secret> {
        secrets(document)
    }

    async fn propose(&self, job: &Job<'_>, current: &Parsed<D::Account>) -> Result<Document> {
        let account: &Account = current.account.borrow();
        proxy::demand_usable::<D::Directory>(job, account, &D::FAMILY).await?;
        account.renewed(&current.document, job.settings, &D::FAMILY.rules)
    }

    async fn login(
        &self,
        job: &Job<'_>,
        account: &D::Account,
        on: Option<&Admin<D::Identity>>,
    ) -> Result<Login<D::Session>> {
        match (session::log_in(self, job, account, on).await?, on) {
            (Login::Rejected(words), None) => self.refused(job, account, words).await,
            (Login::Rejected(words), Some(admin)) => self.refused_on(job, account, admin, words).await,
            (answer, _) => Ok(answer),
        }
    }

    async fn writer(
        &self,
        job: &Job<'_>,
        step: Step,
        pending: &Parsed<D::Account>,
        admin: Option<&Admin<D::Identity>>,
        proven: Option<D::Session>,
    ) -> Result<Writer<D>> {
        let (session, is_admin, proven) = match (admin, proven) {
            (Some(admin), proven) => session::of_writer(self, job, &pending.account, admin, proven).await?,
            (None, Some(own)) => (own, false, None),
            (None, None) => return Err(Error::new(Kind::Bug, "nobody is there to make changes")),
        };
        // A preflight belongs here: is this the writer, does its lock exclude anybody, how many sessions fit.
        let secret_arn = job.store.arn().await?.to_owned();
        let mut writer = Writer { session, is_admin, proven, secret_arn, lock: D::Lock::default() };
        writer.lock = self.lock(job, &mut writer.session, &writer.secret_arn).await?;
        // For pending's own login, which comes once the labels have been seen and, in setSecret, the password is set.
        let setting = step == Step::SetSecret;
        if !setting || !account(pending).strategy.overlaps() {
            let server = match admin.filter(|_| setting) {
                Some(admin) => admin.server.clone(),
                None => proxy::behind::<D::Directory>(job, &account(pending).server).await?,
            };
            self.early().approach(job, Some(&server));
        }
        Ok(writer)
    }

    async fn apply(
        &self,
        job: &Job<'_>,
        writer: &mut Writer<D>,
        admin: Option<&Admin<D::Identity>>,
        current: &Parsed<D::Account>,
        pending: &Parsed<D::Account>,
    ) -> Result<()> {
        self.change(&Change { dialect: self, job, admin, current, pending }, writer).await
    }

    async fn put_back(
        &self,
        job: &Job<'_>,
        writer: &mut Writer<D>,
        admin: Option<&Admin<D::Identity>>,
        current: &Parsed<D::Account>,
        opened: &Parsed<D::Account>,
    ) -> Result<()> {
        self.change(&Change { dialect: self, job, admin, current, pending: opened }, writer).await
    }

    async fn check(
        &self,
        job: &Job<'_>,
        session: &mut D::Session,
        pending: &Parsed<D::Account>,
    ) -> Result<()> {
        self.test(job, session, pending).await
    }

    fn approach(&self, job: &Job<'_>) -> impl Sized {
        self.early().approach(job, None);
        EarlyWork(self.early())
    }

    async fn admin(&self, job: &Job<'_>, account: &D::Account) -> Result<Option<Self::Admin>> {
        Admin::find::<D::Directory>(job, account.borrow(), &D::FAMILY).await
    }

    fn locks_unseen(&self) -> bool {
        D::LOCKS_ACCOUNTS
    }

    async fn patience(
        &self,
        job: &Job<'_>,
        account: &D::Account,
        admin: Option<&Self::Admin>,
    ) -> Option<u32> {
        self.bears(job, account, admin?).await
    }

    async fn before_promotion(
        &self,
        job: &Job<'_>,
        writer: &mut Writer<D>,
        _: &Labels,
        _: &Parsed<D::Account>,
    ) -> Result<()> {
        self.still_locked(job, &mut writer.session).await
    }

    async fn after_promotion(
        &self,
        job: &Job<'_>,
        writer: &mut Writer<D>,
        _: &Labels,
        current: &Parsed<D::Account>,
    ) -> Result<()> {
        self.settle(job, writer, current).await
    }
}

/// What has been begun early, until the step ends.
struct EarlyWork<'a>(&'a dyn Early);

impl Drop for EarlyWork<'_> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl<D: Dialect> Diagnosis for D {
    fn rehearse(&self, job: &Job<'_>, _: &D::Account) -> Result<()> {
        Policy::new(&job.settings.password, &D::FAMILY.rules).map(drop)
    }

    async fn examine(&self, job: &Job<'_>, session: &mut D::Session, account: &D::Account) -> Vec<Finding> {
        let proxy = proxy::examine::<D::Directory>(job, account.borrow(), &D::FAMILY).await;
        proxy.into_iter().chain(self.lacking(job, session, account).await).collect()
    }
}

fn account<D: DatabaseAccount>(parsed: &Parsed<D>) -> &Account {
    parsed.account.borrow()
}
