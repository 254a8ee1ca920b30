//! Rotates PostgreSQL and Aurora PostgreSQL accounts. The crate [`wire_postgres`] logs in and runs statements; `statement` holds
//! every SQL text and its quoting. Here also: `replica` (hosts that lag behind), `writer` (the lock, and how a password is set), `holder` (whose
//! session has the lock),
//! `checks` (testSecret), `expiry` (expired accounts), `reset` (what a pool does to sessions) and `examine` (the diagnose event). `alternate` is the strategy with two users, made of `turn`, `role`,
//! `memberships`, `parameters`, `extras` (what the second user has of its own), `ownership` and `handover`.

mod alternate;
mod checks;
mod dialect;
mod examine;
mod expiry;
mod extras;
mod handover;
mod holder;
mod memberships;
mod ownership;
mod parameters;
mod replica;
mod reset;
mod role;
pub mod statement;
mod turn;
mod writer;

use rotation::database::account::Account;
use rotation::database::ahead::Early;
use rotation::database::dialect::{Change, Dialect, Entrance};
use rotation::database::family::Family;
use rotation::database::rds::Rds;
use rotation::engine::finding::Finding;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::Result;
use rotation::value::password::Rules;
use rotation::value::strategy::Strategy;
use rotation::value::version::Parsed;
use wire_postgres::connect::{self, Session};

use crate::dialect::{Admin, DBNAME, VARIANT, Writer};
use crate::writer::{Lock, explain, explain_admin};

pub use crate::dialect::{Postgres, Shown};

impl Dialect for Postgres {
    type Account = Account;
    type Session = Session;
    type Identity = Shown;
    type Lock = Lock;
    type Directory = Rds;

    const NAME: &'static str = "postgres";
    const FAMILY: Family = Family {
        names: &["postgres", "aurora-postgresql"],
        port: 5432,
        database: Some(DBNAME),
        strategies: &[Strategy::SingleUser, Strategy::Admin, Strategy::AlternatingUsers],
        // NAMEDATALEN - 1. The server silently cuts longer names (manual, "Identifiers and Key Words").
        username_limit: 63,
        rules: Rules { lengths: 1..=512, length: 32, exclude: ":/@\"'\\", never: "", mixed: false },
    };

    async fn enter(&self, job: &Job<'_>, entrance: &Entrance<'_>) -> Result<Login<Session>> {
        connect::login(job, (&self.ahead, &self.known), &VARIANT, entrance).await
    }

    fn identity(&self, session: &Session) -> Shown {
        Shown { user: session.user.clone(), form: session.form }
    }

    fn early(&self) -> &dyn Early {
        &self.ahead
    }

    async fn refused(&self, job: &Job<'_>, account: &Account, words: String) -> Result<Login<Session>> {
        replica::refused(self, job, account, words).await
    }

    async fn refused_on(
        &self,
        job: &Job<'_>,
        account: &Account,
        admin: &Admin,
        words: String,
    ) -> Result<Login<Session>> {
        expiry::look(self, job, account, admin, words).await
    }

    async fn lock(&self, job: &Job<'_>, session: &mut Session, secret_arn: &str) -> Result<Lock> {
        Lock::take(job, session, secret_arn).await
    }

    async fn still_locked(&self, job: &Job<'_>, session: &mut Session) -> Result<()> {
        let doing = "still hold the lock of this secret";
        session.run(job, doing, statement::CHECK, &explain).await.map(drop)
    }

    async fn change(&self, change: &Change<'_, Postgres>, writer: &mut Writer) -> Result<()> {
        if let Some((admin, pair)) = change.turn() {
            return alternate::apply(change, writer, admin, pair).await;
        }
        // The user sets its own password. An admin sets it after the ladder has logged in as the user on this server, or if a
        // reset is allowed.
        let pending = &change.pending.account;
        let explain = |code: &str| match change.admin {
            None => explain(code),
            Some(admin) => explain_admin(code, &pending.username, &admin.username),
        };
        writer::set_password_in_use(change.job, writer, pending, &explain).await
    }

    async fn test(&self, job: &Job<'_>, session: &mut Session, pending: &Parsed<Account>) -> Result<()> {
        checks::check(self, job, session, pending).await
    }

    async fn lacking(&self, job: &Job<'_>, session: &mut Session, account: &Account) -> Vec<Finding> {
        examine::run(self, job, session, account).await
    }
}
