//! Rotates MySQL, Aurora MySQL and MariaDB accounts. The files of every target: `connect` (turns driver errors into verdicts),
//! `statement` (SQL texts and their quoting). Also `answer` (what a server sends back), `cancel` (what this side gives up on), `account` (the secret's fields; users and host parts), `refusal` (the meaning
//! of the servers' errors), `server` (its version and abilities), `lock`, `preflight` (what a server
//! says about itself), `closed` (all that an admin's session may send). The account
//! at the server: `profile`, `stored`, `grants`, `presence` (whether their objects exist); whether it is the secret's: `acting`,
//! `subject`; what an admin does to it: `turn`. `checks` is testSecret. Each way to change a password has a file: `own`, `assign`,
//! `alternate` (with `equalize`), `dual` (with `newer`).

pub mod account;
mod acting;
mod alternate;
mod answer;
mod assign;
mod cancel;
mod checks;
mod closed;
mod connect;
mod dialect;
mod dual;
mod equalize;
mod grants;
mod lock;
mod newer;
mod own;
mod preflight;
mod presence;
mod profile;
mod refusal;
mod server;
pub mod statement;
mod stored;
mod subject;
mod turn;

use rotation::database::dialect::{Change, Dialect, Entrance};
use rotation::database::family::Family;
use rotation::database::rds::Rds;
use rotation::engine::finding::Finding;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::value::strategy::Strategy;
use rotation::value::version::Parsed;

use crate::account::{Account, FAMILY};
use crate::connect::{Credentials, OpenedAccount, Session};
use crate::dialect::{Admin, Writer};
use crate::preflight::Standing;

pub use crate::dialect::Mysql;

impl Dialect for Mysql {
    type Account = Account;
    type Session = Session;
    type Identity = OpenedAccount;
    type Lock = Standing;
    type Directory = Rds;

    const NAME: &'static str = "mysql";
    const FAMILY: Family = FAMILY;
    const LOCKS_ACCOUNTS: bool = true;

    async fn enter(&self, job: &Job<'_>, entrance: &Entrance<'_>) -> Result<Login<Session>> {
        let Entrance { server, username: user, password, dbname, engine } = *entrance;
        let credentials = Credentials { user, password, dbname };
        match connect::login(job, server, credentials).await? {
            // With ed25519 one refusal in 256 is the driver's own fault: it drops the last byte of the text to sign if that byte is zero.
            Login::Rejected(_) if engine == Some("mariadb") => connect::login(job, server, credentials).await,
            answer => Ok(answer),
        }
    }

    fn identity(&self, session: &Session) -> OpenedAccount {
        session.login.share()
    }

    async fn lock(&self, job: &Job<'_>, session: &mut Session, secret_arn: &str) -> Result<Standing> {
        lock::take(job, session, secret_arn).await
    }

    async fn begin_as_admin(&self, _: &Job<'_>, session: &mut Session) -> Result<()> {
        session.is_admin = true;
        Ok(())
    }

    async fn still_locked(&self, job: &Job<'_>, session: &mut Session) -> Result<()> {
        let doing = "still hold the lock of this secret";
        session.run(job, doing, statement::CHECK, refusal::statement).await.map(drop)
    }

    /// With two passwords the user changes its own account, if it can and may.
    async fn acts_itself(
        &self,
        job: &Job<'_>,
        account: &Account,
        admin: &Admin,
        own: &mut Session,
    ) -> Result<bool> {
        let is_here = own.at.host == admin.server.host && own.at.port == admin.server.port;
        Ok(account.strategy == Strategy::DualPassword
            && is_here
            && dual::can_keep_two_passwords(job, own).await?)
    }

    async fn bears(&self, job: &Job<'_>, account: &Account, admin: &Admin) -> Option<u32> {
        acting::bears(self, job, account, admin).await
    }

    async fn change(&self, change: &Change<'_, Mysql>, writer: &mut Writer) -> Result<()> {
        let (job, account) = (change.job, &change.pending.account);
        writer.lock.demand_writer(&writer.place)?;
        preflight::warn_of_replica(job, writer).await?;
        let names = acting::names(job, writer, account).await?;
        match (account.strategy, change.admin) {
            (Strategy::SingleUser, _) => own::set_password(job, writer, &account.password).await,
            (Strategy::DualPassword, _) => dual::apply_to_all(change, writer, &names).await,
            (_, Some(admin)) => turn::apply(change, writer, admin, &names).await,
            (_, None) => Err(Error::new(Kind::Bug, "no admin for this strategy")),
        }
    }

    async fn test(&self, job: &Job<'_>, session: &mut Session, pending: &Parsed<Account>) -> Result<()> {
        checks::check(self, job, session, &pending.account).await
    }

    async fn lacking(&self, job: &Job<'_>, session: &mut Session, account: &Account) -> Vec<Finding> {
        preflight::examine(self, job, session, account).await
    }

    async fn settle(&self, job: &Job<'_>, writer: &mut Writer, current: &Parsed<Account>) -> Result<()> {
        dual::settle_all(job, writer, current).await
    }
}
