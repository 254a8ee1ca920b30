//! The one joint: what the engine asks of a database or service. The engine owns order, labels and errors; a target owns one
//! server's language. docs/decisions/0009-the-joint-again.md says why it is cut here.

use crate::door::event::Step;
use crate::engine::credential::Credential;
use crate::engine::finding::Finding;
use crate::engine::job::Job;
pub use crate::engine::login::Login;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::value::document::Document;
use crate::value::settings::Settings;
use crate::value::version::{Labels, Parsed};

/// A system whose credentials can be rotated: first what every credential needs, then what only some kinds have, with defaults
/// that do nothing. A database implements `database::dialect::Dialect` instead, and is a target by that.
#[expect(
    async_fn_in_trait,
    reason = "a function handles one event at a time on one thread, so no future has to be Send"
)]
pub trait Target {
    /// What one version of the secret says: who logs in, where, and how it is to be rotated.
    type Account: Credential;
    /// An accepted login, and the connection it was made on.
    type Session;
    /// The session that makes changes.
    type Writer;
    /// The admin that acts where the account cannot act for itself; `()` for targets without one.
    type Admin;

    /// The name in logs and metrics.
    const NAME: &'static str;

    /// Reads a version's value, and refuses one that any later step would fail on.
    fn read(&self, document: &Document, settings: &Settings) -> Result<Self::Account>;

    /// The secret parts of a value, to be masked wherever they turn up.
    fn secrets(&self, document: &Document) -> Vec<Secret>;

    /// createSecret: the value that will be AWSPENDING. Nothing is visible to anyone yet, except where the service makes the
    /// key itself.
    async fn propose(&self, job: &Job<'_>, current: &Parsed<Self::Account>) -> Result<Document>;

    /// Logs in: on the server that an admin would change, where there is one, and else where the secret says.
    async fn login(
        &self,
        job: &Job<'_>,
        account: &Self::Account,
        on: Option<&Self::Admin>,
    ) -> Result<Login<Self::Session>>;

    /// setSecret and finishSecret: the session that makes the step's changes. Where the server has locks, it holds the one that
    /// lets one rotation of this secret at a time change anything, and the lock goes when the session goes. `proven` is the login
    /// that the secret has shown for itself; `None` only when the deployment allows the admin to reset a lost account.
    async fn writer(
        &self,
        job: &Job<'_>,
        step: Step,
        pending: &Parsed<Self::Account>,
        admin: Option<&Self::Admin>,
        proven: Option<Self::Session>,
    ) -> Result<Self::Writer>;

    /// setSecret: makes the server accept pending. Runs under the lock, after the second look; can run again at any time.
    async fn apply(
        &self,
        job: &Job<'_>,
        writer: &mut Self::Writer,
        admin: Option<&Self::Admin>,
        current: &Parsed<Self::Account>,
        pending: &Parsed<Self::Account>,
    ) -> Result<()>;

    /// setSecret, after the server has refused what `apply` made it store: makes the server accept `opened` again, the version that
    /// opened the writer. Runs under the same lock. Asked only where the strategy changes the account that AWSCURRENT names.
    async fn put_back(
        &self,
        _job: &Job<'_>,
        _writer: &mut Self::Writer,
        _admin: Option<&Self::Admin>,
        _current: &Parsed<Self::Account>,
        _opened: &Parsed<Self::Account>,
    ) -> Result<()> {
        Err(Error::new(Kind::Bug, "this target cannot set a password back"))
    }

    /// testSecret: whether the session is who it should be and may do what it should.
    async fn check(
        &self,
        job: &Job<'_>,
        session: &mut Self::Session,
        pending: &Parsed<Self::Account>,
    ) -> Result<()>;

    // Where connecting takes its time.

    /// Begins to reach the server for the next login, while Secrets Manager is waited for; names nobody on that connection yet, and
    /// may fail without a word, because the login finds out. Nothing that was begun outlives the returned value.
    fn approach(&self, _job: &Job<'_>) -> impl Sized {}

    // Where somebody else than the account acts, and where accounts lock themselves.

    /// Finds who acts, for strategies in which somebody else than the account does, and refuses a server that is not the
    /// account's.
    async fn admin(&self, _job: &Job<'_>, _account: &Self::Account) -> Result<Option<Self::Admin>> {
        Ok(None)
    }

    /// Whether accounts of this server may lock themselves after a number of refused logins that only an admin can read.
    fn locks_unseen(&self) -> bool {
        false
    }

    /// How many refused logins the account can still bear, where that can be known. Asked after the first refusal.
    async fn patience(
        &self,
        _job: &Job<'_>,
        _account: &Self::Account,
        _admin: Option<&Self::Admin>,
    ) -> Option<u32> {
        None
    }

    // Where the service issues the credential itself.

    /// createSecret: takes back what `propose` made at the service, when the value could not be stored.
    async fn withdraw(&self, _job: &Job<'_>, _proposed: &Document) -> Result<()> {
        Ok(())
    }

    /// setSecret, before anybody logs in: whether nothing is left to set, because the server itself has made the credential.
    /// May wait until the credential is accepted.
    async fn is_set(&self, _job: &Job<'_>, _pending: &Parsed<Self::Account>) -> Result<bool> {
        Ok(false)
    }

    // Around the promotion.

    /// finishSecret, right before the labels move: whether the lock is still held, and whatever a crash after the move must not
    /// skip. `labels` are those of the second look; newer ones could already be another rotation's.
    async fn before_promotion(
        &self,
        _job: &Job<'_>,
        _writer: &mut Self::Writer,
        _labels: &Labels,
        _pending: &Parsed<Self::Account>,
    ) -> Result<()> {
        Ok(())
    }

    /// finishSecret, after the labels have moved, and again whenever the step is called for a token that is already current: for
    /// accounts that settle (`Credential::settles`). `labels` are those of the second look.
    async fn after_promotion(
        &self,
        _job: &Job<'_>,
        _writer: &mut Self::Writer,
        _labels: &Labels,
        _current: &Parsed<Self::Account>,
    ) -> Result<()> {
        Ok(())
    }
}

/// What the diagnose event asks of a target; the four steps never do.
#[expect(async_fn_in_trait, reason = "as for `Target`")]
pub trait Diagnosis: Target {
    /// Whether `propose` could work, without doing anything.
    fn rehearse(&self, job: &Job<'_>, account: &Self::Account) -> Result<()>;

    /// What an accepted login lacks for its strategy.
    async fn examine(
        &self,
        _job: &Job<'_>,
        _session: &mut Self::Session,
        _account: &Self::Account,
    ) -> Vec<Finding> {
        Vec::new()
    }

    /// Whether a provider file can be used, without calling anything.
    fn inspect(&self, _provider: &str) -> Finding {
        Finding::skipped("provider", "this function has no provider files")
    }
}
