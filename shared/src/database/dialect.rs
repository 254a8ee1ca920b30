//! What is particular to one kind of database server: a dialect. Everything else about rotating its accounts is in `target`.

use std::borrow::Borrow;
use std::ops::{Deref, DerefMut};

use super::account::{Account, DatabaseAccount, Server};
use super::admin::Admin;
use super::ahead::Early;
use super::alternation::Alternation;
use super::family::Family;
use super::host::Directory;
use crate::engine::finding::Finding;
use crate::engine::job::Job;
use crate::engine::target::Login;
use crate::error::Result;
use crate::secret::Secret;
use crate::value::version::Parsed;

/// One kind of database server: its statements, its verdicts, its catalogue. A type that implements this trait is a `Target`.
#[expect(async_fn_in_trait, reason = "as for `Target`")]
pub trait Dialect: Sized {
    /// What a secret says about an account: `Account`, or that and more.
    type Account: DatabaseAccount;
    /// An accepted login, and the connection it was made on.
    type Session;
    /// What an accepted login proves: at least the user's name.
    type Identity;
    /// What the server says when it grants the lock; `()` where that is nothing.
    type Lock: Default;
    /// The directory that knows which host names lead to which server; `()` where there is none.
    type Directory: Directory;

    /// The name in logs and metrics.
    const NAME: &'static str;
    /// What these servers fix for every account.
    const FAMILY: Family;
    /// Whether accounts may lock themselves after a number of refused logins that only an admin can read.
    const LOCKS_ACCOUNTS: bool = false;

    /// Logs in.
    async fn enter(&self, job: &Job<'_>, entrance: &Entrance<'_>) -> Result<Login<Self::Session>>;

    /// What an accepted login proves.
    fn identity(&self, session: &Self::Session) -> Self::Identity;

    /// setSecret: makes the server accept pending. Runs under the lock, after the second look; can run again at any time. Where the
    /// strategy changes the account that AWSCURRENT names, the writer holds the lock afterwards too: pending then logs in, and if the
    /// server refuses it, the same writer makes the server accept the version before again.
    async fn change(&self, change: &Change<'_, Self>, writer: &mut Writer<Self>) -> Result<()>;

    /// testSecret: whether the session is who it should be and may do what it should.
    async fn test(
        &self,
        job: &Job<'_>,
        session: &mut Self::Session,
        pending: &Parsed<Self::Account>,
    ) -> Result<()>;

    /// Takes the lock that lets one rotation of this secret at a time change anything. The lock goes when the session goes, and the
    /// server ends a session soon after its process has died. Dialects without locks say on their pages what that costs.
    async fn lock(
        &self,
        _job: &Job<'_>,
        _session: &mut Self::Session,
        _secret_arn: &str,
    ) -> Result<Self::Lock> {
        Ok(Self::Lock::default())
    }

    /// Fails if the session, and its lock with it, has been lost since the lock was taken.
    async fn still_locked(&self, _job: &Job<'_>, _session: &mut Self::Session) -> Result<()> {
        Ok(())
    }

    /// Prepares a session that an admin has just opened.
    async fn begin_as_admin(&self, _job: &Job<'_>, _session: &mut Self::Session) -> Result<()> {
        Ok(())
    }

    /// Whether the account may make the changes itself, although there is an admin.
    async fn acts_itself(
        &self,
        _job: &Job<'_>,
        _account: &Self::Account,
        _admin: &Admin<Self::Identity>,
        _own: &mut Self::Session,
    ) -> Result<bool> {
        Ok(false)
    }

    /// The server that clients use has refused this account. Where copies of a server lag, the dialect looks more closely, and its
    /// answer counts.
    async fn refused(
        &self,
        _job: &Job<'_>,
        _account: &Self::Account,
        words: String,
    ) -> Result<Login<Self::Session>> {
        Ok(Login::Rejected(words))
    }

    /// The server that an admin would change has refused this account. Where the admin can see why, the dialect's answer counts.
    async fn refused_on(
        &self,
        _job: &Job<'_>,
        _account: &Self::Account,
        _admin: &Admin<Self::Identity>,
        words: String,
    ) -> Result<Login<Self::Session>> {
        Ok(Login::Rejected(words))
    }

    /// How many refused logins the account can still bear, one having been refused; `None` where there is no limit.
    async fn bears(
        &self,
        _job: &Job<'_>,
        _account: &Self::Account,
        _admin: &Admin<Self::Identity>,
    ) -> Option<u32> {
        None
    }

    /// finishSecret, after the promotion, for accounts that settle.
    async fn settle(
        &self,
        _job: &Job<'_>,
        _writer: &mut Writer<Self>,
        _current: &Parsed<Self::Account>,
    ) -> Result<()> {
        Ok(())
    }

    /// The diagnose event: what an accepted login lacks for its strategy.
    async fn lacking(
        &self,
        _job: &Job<'_>,
        _session: &mut Self::Session,
        _account: &Self::Account,
    ) -> Vec<Finding> {
        Vec::new()
    }

    /// The early connections, for dialects that make some.
    fn early(&self) -> &dyn Early {
        &()
    }
}

/// What a login needs.
pub struct Entrance<'a> {
    /// Where.
    pub server: &'a Server,
    /// Whom.
    pub username: &'a str,
    /// With what.
    pub password: &'a Secret,
    /// The database, if any.
    pub dbname: Option<&'a str>,
    /// The engine that the account's secret names; `None` for an admin.
    pub engine: Option<&'a str>,
}

/// One change of setSecret: who acts, and from which version to which.
pub struct Change<'a, D: Dialect> {
    /// The database that it is made in.
    pub dialect: &'a D,
    /// The invocation.
    pub job: &'a Job<'a>,
    /// The admin, if the account cannot act for itself.
    pub admin: Option<&'a Admin<D::Identity>>,
    /// The version in use.
    pub current: &'a Parsed<D::Account>,
    /// The version that the server is to accept.
    pub pending: &'a Parsed<D::Account>,
}

impl<'a, D: Dialect> Change<'a, D> {
    /// The admin and the pair, where two users take turns.
    pub fn turn(&self) -> Option<(&'a Admin<D::Identity>, &'a Alternation)> {
        let current: &Account = self.current.account.borrow();
        Some((self.admin?, current.alternation.as_ref()?))
    }
}

/// The session that makes changes, and what it has learned.
pub struct Writer<D: Dialect> {
    /// The session; a writer can be used like its session.
    pub session: D::Session,
    /// Whether an admin has opened it.
    pub is_admin: bool,
    /// The login that the secret has shown for itself, where an admin acts.
    pub proven: Option<D::Identity>,
    /// The secret whose lock it holds.
    pub secret_arn: String,
    /// What the server said when it granted the lock.
    pub lock: D::Lock,
}

impl<D: Dialect> Deref for Writer<D> {
    type Target = D::Session;

    fn deref(&self) -> &D::Session {
        &self.session
    }
}

impl<D: Dialect> DerefMut for Writer<D> {
    fn deref_mut(&mut self) -> &mut D::Session {
        &mut self.session
    }
}
