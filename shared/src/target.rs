//! The one joint: what the engine asks of a database or service. The engine owns order, labels, locks and errors; a target
//! owns one server's language. docs/decisions/0001-the-joint.md says why it is cut here.

use crate::document::Document;
use crate::error::Result;
use crate::finding::Finding;
use crate::job::Job;
pub use crate::login::Login;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::strategy::Strategy;
use crate::version::{Labels, Parsed};

/// A system whose credentials can be rotated. Sibling targets have the same files (docs/contributing.md).
#[expect(
    async_fn_in_trait,
    reason = "a function handles one event at a time on one thread, so no future has to be Send"
)]
pub trait Target {
    /// What one version of the secret says: who logs in, where, and how it is to be rotated.
    type Account;
    /// An accepted login, and the connection it was made on.
    type Session;
    /// Who acts where the account cannot act for itself; `()` for targets without.
    type Admin;

    /// The name in logs and metrics.
    const NAME: &'static str;

    /// Reads a version's value, and refuses one that any later step would fail on.
    fn read(&self, document: &Document, settings: &Settings) -> Result<Self::Account>;

    /// The strategy that the secret asks for.
    fn strategy(&self, account: &Self::Account) -> Strategy;

    /// The secret parts of a value, to be masked wherever they turn up.
    fn secrets(&self, document: &Document) -> Vec<Secret>;

    /// Refuses a version that is not for the same server and account (or pair of accounts) as the current one. Asked before
    /// the version is tried anywhere.
    fn agree(&self, current: &Self::Account, other: &Self::Account) -> Result<()>;

    /// Lets an older version that agrees with the current one be tried as the current one is: whom it trusted when it was written may
    /// be out of date.
    fn align(&self, _current: &Self::Account, _other: &mut Self::Account) {}

    /// Refuses a pending version that must not follow the current one.
    fn may_follow(&self, current: &Self::Account, pending: &Self::Account) -> Result<()> {
        self.agree(current, pending)
    }

    /// createSecret: the value that will be AWSPENDING. Nothing is visible to anyone yet, except where the service makes the
    /// key itself.
    async fn propose(&self, job: &Job<'_>, current: &Parsed<Self::Account>) -> Result<Document>;

    /// Whether `propose` could work, without doing anything: for the diagnose event.
    fn rehearse(&self, job: &Job<'_>, account: &Self::Account) -> Result<()>;

    /// Takes back what `propose` made at the service, when the value could not be stored.
    async fn withdraw(&self, _job: &Job<'_>, _proposed: &Document) -> Result<()> {
        Ok(())
    }

    /// Finds who acts, for strategies in which somebody else than the account does, and refuses a server that is not the
    /// account's.
    async fn admin(&self, job: &Job<'_>, account: &Self::Account) -> Result<Option<Self::Admin>>;

    /// Begins to reach the server for the next login, while Secrets Manager is waited for; says nothing yet about who comes, and may
    /// fail without a word, because the login finds out. `None` where no version has been read: then towards where this process
    /// last logged in for this secret.
    fn approach(&self, _job: &Job<'_>, _account: Option<&Self::Account>) {}

    /// Logs in: on the server that an admin would change, where there is one, and else where the secret says.
    async fn login(
        &self,
        job: &Job<'_>,
        account: &Self::Account,
        on: Option<&Self::Admin>,
    ) -> Result<Login<Self::Session>>;

    /// How many refused logins the account can still bear, where that can be known. Asked after the first one.
    async fn patience(
        &self,
        _job: &Job<'_>,
        _account: &Self::Account,
        _admin: Option<&Self::Admin>,
    ) -> Option<u32> {
        None
    }

    /// The session that will make changes and hold the lock. `proven` is the login that the secret has shown for itself;
    /// `None` only when the deployment allows the admin to reset a lost account.
    async fn writer(
        &self,
        job: &Job<'_>,
        admin: Option<&Self::Admin>,
        proven: Option<Self::Session>,
    ) -> Result<Self::Session>;

    /// Takes the lock that lets one rotation of this secret at a time change anything; it goes when the session goes.
    /// Targets without locks do nothing, and their pages say what that costs.
    async fn lock(&self, _job: &Job<'_>, _writer: &mut Self::Session, _secret_arn: &str) -> Result<()> {
        Ok(())
    }

    /// setSecret, before anybody logs in: whether there is nothing to set, because the server itself has made the credential.
    /// May wait until it is accepted.
    async fn is_set(&self, _job: &Job<'_>, _pending: &Parsed<Self::Account>) -> Result<bool> {
        Ok(false)
    }

    /// setSecret: makes the server accept pending. Runs under the lock, after the second look; can run again at any time.
    async fn apply(
        &self,
        job: &Job<'_>,
        writer: Self::Session,
        admin: Option<&Self::Admin>,
        current: &Parsed<Self::Account>,
        pending: &Parsed<Self::Account>,
    ) -> Result<()>;

    /// testSecret: whether the session is who it should be and may do what it should.
    async fn check(
        &self,
        job: &Job<'_>,
        session: &mut Self::Session,
        pending: &Parsed<Self::Account>,
    ) -> Result<()>;

    /// finishSecret, before the second look: what has to be seen at the server before the labels are seen.
    async fn survey(
        &self,
        _job: &Job<'_>,
        _writer: &mut Self::Session,
        _pending: &Parsed<Self::Account>,
    ) -> Result<()> {
        Ok(())
    }

    /// finishSecret, before the labels move: what must not be skipped by a crash after it. `labels` are those of the second
    /// look; newer ones could already be another rotation's.
    async fn retire(
        &self,
        _job: &Job<'_>,
        _writer: &mut Self::Session,
        _labels: &Labels,
        _pending: &Parsed<Self::Account>,
    ) -> Result<()> {
        Ok(())
    }

    /// Whether anything follows a promotion of this account (`settle`).
    fn settles(&self, _account: &Self::Account) -> bool {
        false
    }

    /// finishSecret, after the labels have moved, and again whenever it is called for a token that is already current. `labels`
    /// are those of the second look.
    async fn settle(
        &self,
        _job: &Job<'_>,
        _writer: &mut Self::Session,
        _labels: &Labels,
        _current: &Parsed<Self::Account>,
    ) -> Result<()> {
        Ok(())
    }

    /// What an accepted login lacks for its strategy, for the diagnose event.
    async fn examine(
        &self,
        _job: &Job<'_>,
        _session: &mut Self::Session,
        _account: &Self::Account,
    ) -> Vec<Finding> {
        Vec::new()
    }

    /// Whether a provider file can be used, without calling anything; for the diagnose event.
    fn inspect(&self, _provider: &str) -> Finding {
        Finding::skipped("provider", "this function has no provider files")
    }
}
