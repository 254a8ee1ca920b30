//! Rotates MySQL, Aurora MySQL and MariaDB accounts. The files of every target: `connect` (driver errors become verdicts),
//! `statement` (SQL texts and their quoting). Here also: `account` (what a secret says; users and host parts), `refusal` (what
//! the servers' errors mean), `server` (which one it is and what it can do); what servers keep of accounts: `profile`, `stored`,
//! `grants`; who acts: `acting`; whose turn it is: `turn`; and a file for each way to change a password: `own`, `assign`, `alternate`,
//! `dual`.

pub mod account;
mod acting;
mod alternate;
mod assign;
mod connect;
mod dual;
mod grants;
mod own;
mod profile;
mod refusal;
mod server;
pub mod statement;
mod stored;
mod turn;

use std::time::Duration;

use aws_lc_rs::digest;
use rotation::database::account::secrets;
use rotation::document::Document;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::password::Policy;
use rotation::secret::Secret;
use rotation::settings::Settings;
use rotation::strategy::Strategy;
use rotation::target::{Login, Target};
use rotation::version::{Labels, Parsed};

use crate::account::{Account, ENGINE};
use crate::acting::Admin;
use crate::connect::{Session, Who};

/// How long a rotation waits for another one of the same secret.
const WAIT: Duration = Duration::from_secs(5);

/// A writer whose process is gone without a word is dropped by the server after this long.
const IDLE: Duration = Duration::from_secs(20);

/// The target.
pub struct Mysql;

impl Target for Mysql {
    type Account = Account;
    type Session = Session;
    type Admin = Admin;

    const NAME: &'static str = "mysql";

    fn read(&self, document: &Document, settings: &Settings) -> Result<Account> {
        Account::read(document, settings)
    }

    fn strategy(&self, account: &Account) -> Strategy {
        account.strategy
    }

    fn secrets(&self, document: &Document) -> Vec<Secret> {
        secrets(document)
    }

    fn agree(&self, current: &Account, other: &Account) -> Result<()> {
        current.agree(other, &current.users())
    }

    fn align(&self, current: &Account, other: &mut Account) {
        other.align(current);
    }

    fn may_follow(&self, current: &Account, pending: &Account) -> Result<()> {
        current.is_followed_by(pending)
    }

    async fn propose(&self, job: &Job<'_>, current: &Parsed<Account>) -> Result<Document> {
        current.account.renewed(&current.document, job.settings, &ENGINE.rules)
    }

    fn rehearse(&self, job: &Job<'_>, _: &Account) -> Result<()> {
        Policy::new(&job.settings.password, &ENGINE.rules).map(drop)
    }

    async fn admin(&self, job: &Job<'_>, account: &Account) -> Result<Option<Admin>> {
        Admin::find(job, account).await
    }

    async fn login(&self, job: &Job<'_>, account: &Account, on: Option<&Admin>) -> Result<Login<Session>> {
        let server = on.map_or(&account.server, |admin| &admin.identity.server);
        let who =
            Who { user: &account.username, password: &account.password, dbname: account.dbname.as_deref() };
        let login = connect::login(job, server, who).await?;
        if let (Some(admin), Login::Accepted(session)) = (on, &login) {
            admin.proofs.borrow_mut().push(session.login.share());
        }
        Ok(login)
    }

    async fn patience(&self, job: &Job<'_>, account: &Account, admin: Option<&Admin>) -> Option<u32> {
        acting::patience(job, account, admin?).await
    }

    async fn writer(&self, job: &Job<'_>, admin: Option<&Admin>, proven: Option<Session>) -> Result<Session> {
        match (admin, proven) {
            (None, Some(proven)) => Ok(proven),
            (None, None) => Err(Error::new(Kind::Bug, "nobody is there to write")),
            (Some(admin), proven) => admin.session(job, proven).await,
        }
    }

    async fn lock(&self, job: &Job<'_>, writer: &mut Session, secret_arn: &str) -> Result<()> {
        writer.secret_arn = secret_arn.to_owned();
        let sql = statement::lock(&lock_name(secret_arn), WAIT, IDLE);
        let rows = writer.run(job, "take this secret's lock", &sql, refusal::statement).await?;
        match rows.first().and_then(|row| row.first()?.as_deref()) {
            Some("1") => Ok(()),
            _ => Err(Error::new(Kind::Conflict, "another rotation of this secret is at work")
                .remedy("nothing to do: Secrets Manager tries again by itself")),
        }
    }

    async fn apply(
        &self,
        job: &Job<'_>,
        mut writer: Session,
        admin: Option<&Admin>,
        current: &Parsed<Account>,
        pending: &Parsed<Account>,
    ) -> Result<()> {
        let names = acting::names(job, &mut writer, &pending.account).await?;
        match (pending.account.strategy, admin) {
            (Strategy::SingleUser, _) => own::set_password(job, &mut writer, &pending.account.password).await,
            (Strategy::DualPassword, admin) => {
                acting::tell_of_others(job, &mut writer, &names).await?;
                for name in &names {
                    acting::guard_if_other(job, &mut writer, admin, [current, pending], name).await?;
                }
                for name in &names {
                    dual::apply(job, &mut writer, name, current, pending).await?;
                }
                Ok(())
            }
            (_, Some(admin)) => turn::apply(job, &mut writer, admin, [current, pending], &names).await,
            (_, None) => Err(Error::new(Kind::Bug, "nobody is there to act")),
        }
    }

    async fn check(&self, job: &Job<'_>, session: &mut Session, pending: &Parsed<Account>) -> Result<()> {
        let check = pending.account.statement.as_deref().unwrap_or(statement::CHECK);
        session.run(job, "run the test statement", check, refusal::statement).await?;
        match &pending.account.alternation {
            Some(pair) if pair.alternate == pending.account.username => {
                acting::compare(job, pair, &pending.account, &session.login.name).await
            }
            _ => Ok(()),
        }
    }

    async fn retire(
        &self,
        job: &Job<'_>,
        writer: &mut Session,
        _: &Labels,
        _: &Parsed<Account>,
    ) -> Result<()> {
        let doing = "still hold the lock of this secret";
        writer.run(job, doing, statement::CHECK, refusal::statement).await.map(drop)
    }

    fn settles(&self, account: &Account) -> bool {
        account.strategy == Strategy::DualPassword
    }

    async fn settle(
        &self,
        job: &Job<'_>,
        writer: &mut Session,
        _: &Labels,
        current: &Parsed<Account>,
    ) -> Result<()> {
        let proven = acting::proven(job, writer, &current.account).await?;
        for name in current.account.names(&current.account.username, &proven) {
            if name == proven || acting::holds(job, writer, &name, &current.account.password).await? {
                dual::settle(job, writer, &name, current).await?;
            }
        }
        Ok(())
    }
}

/// The lock's name, which 64 characters are the limit of: from the ARN, so that every function that rotates this secret means
/// the same lock.
fn lock_name(secret_arn: &str) -> String {
    let hash = digest::digest(&digest::SHA256, secret_arn.as_bytes());
    hash.as_ref()[..20].iter().fold("turnlock:".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}
