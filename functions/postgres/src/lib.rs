//! Rotates PostgreSQL and Aurora PostgreSQL accounts. The files of every target: `connect` (driver errors become verdicts),
//! `statement` (every SQL text and its quoting); here also `ahead` (connections that are begun early), `watch` (what the server
//! asks for), `binding` (channel binding), `writer` (the session that makes changes), `checks` (testSecret) and `examine` (the
//! diagnose event). `alternate` is the strategy with two users, made of `role`, `memberships`, `settings` and `ownership`.

pub mod ahead;
mod alternate;
mod binding;
mod checks;
pub mod connect;
mod examine;
mod memberships;
mod ownership;
mod role;
mod settings;
pub mod statement;
mod watch;
mod writer;

use std::time::Duration;

use rotation::database::account::{Account, Engine, folded, secrets};
use rotation::database::admin::Admin;
use rotation::document::Document;
use rotation::error::{Error, Kind, Result};
use rotation::finding::Finding;
use rotation::job::Job;
use rotation::password::{Policy, Rules};
use rotation::rds;
use rotation::secret::Secret;
use rotation::settings::Settings;
use rotation::strategy::Strategy;
use rotation::target::{Login, Target};
use rotation::version::{Labels, Parsed};

use crate::connect::Entrance;
use crate::writer::{explain, explain_admin};

pub use crate::writer::Writer;

/// What PostgreSQL fixes for every account.
const ENGINE: Engine = Engine {
    names: &["postgres", "aurora-postgresql"],
    port: 5432,
    strategies: &[Strategy::SingleUser, Strategy::Admin, Strategy::AlternatingUsers],
    // NAMEDATALEN - 1; longer names are cut without a word (manual, "Identifiers and Key Words").
    username_limit: 63,
    rules: Rules { lengths: 1..=512, length: 32, exclude: ":/@\"'\\", never: "", mixed: false },
};

/// The database where the secret names none: AWS's default.
const DBNAME: &str = "postgres";

/// How often a replica is looked at that has not replayed a login yet.
const LOOK: Duration = Duration::from_millis(100);

/// The target.
pub struct Postgres;

impl Target for Postgres {
    type Account = Account;
    type Session = Writer;
    type Admin = Admin;

    const NAME: &'static str = "postgres";

    fn read(&self, document: &Document, settings: &Settings) -> Result<Account> {
        Account::read(document, settings, &ENGINE)
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
        other.server = current.server.clone();
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
        let managed = async |labels: &Labels| rds::endpoint(job, labels).await;
        let one_server = async |admin: &str, child: &str| rds::one_server(job, admin, child).await;
        Admin::find(job, account, &ENGINE, managed, one_server).await
    }

    fn approach(&self, job: &Job<'_>, account: Option<&Account>) {
        ahead::approach(job, account.map(|account| &account.server));
    }

    async fn login(&self, job: &Job<'_>, account: &Account, on: Option<&Admin>) -> Result<Login<Writer>> {
        match attempt(job, account, on).await? {
            Login::Rejected(words) if on.is_none() && account.is_acted_for() => {
                self.replayed(job, account, words).await
            }
            answer => Ok(answer),
        }
    }

    async fn writer(&self, job: &Job<'_>, admin: Option<&Admin>, proven: Option<Writer>) -> Result<Writer> {
        match admin {
            Some(admin) => Writer::of_admin(job, admin, proven).await,
            None => {
                proven.ok_or_else(|| Error::new(Kind::Bug, "a single user has nobody else to act for it"))
            }
        }
    }

    async fn lock(&self, job: &Job<'_>, writer: &mut Writer, secret_arn: &str) -> Result<()> {
        writer.lock(job, secret_arn).await
    }

    async fn apply(
        &self,
        job: &Job<'_>,
        writer: Writer,
        admin: Option<&Admin>,
        current: &Parsed<Account>,
        pending: &Parsed<Account>,
    ) -> Result<()> {
        match admin {
            None => writer.set_password(job, &pending.account, statement::set_password, &explain).await,
            Some(admin) if current.account.alternation.is_some() => {
                alternate::apply(job, &writer, admin, current, pending).await
            }
            // The ladder has logged in as this user, on this server, or the deployment allows a reset.
            Some(admin) => {
                let explain = |code: &str| explain_admin(code, &pending.account.username, &admin.username);
                writer.set_password(job, &pending.account, statement::set_password, &explain).await
            }
        }
    }

    async fn check(&self, job: &Job<'_>, session: &mut Writer, pending: &Parsed<Account>) -> Result<()> {
        checks::check(job, &session.session, pending).await
    }

    async fn retire(
        &self,
        job: &Job<'_>,
        writer: &mut Writer,
        _: &Labels,
        _: &Parsed<Account>,
    ) -> Result<()> {
        writer.still_holds(job).await
    }

    async fn examine(&self, job: &Job<'_>, session: &mut Writer, account: &Account) -> Vec<Finding> {
        match self.admin(job, account).await {
            Ok(admin) => vec![examine::run(job, &session.session, account, admin.as_ref()).await],
            // The report has a line of its own for that.
            Err(_) => Vec::new(),
        }
    }
}

impl Postgres {
    /// The secret's own host refuses a login. If it is a replica, it may only be behind: then the login works on the writer,
    /// and the replica is looked at until it has caught up.
    async fn replayed(&self, job: &Job<'_>, account: &Account, words: String) -> Result<Login<Writer>> {
        let Some(admin) = self.admin(job, account).await? else { return Ok(Login::Rejected(words)) };
        if folded(&admin.server.host) == folded(&account.server.host)
            && admin.server.port == account.server.port
        {
            return Ok(Login::Rejected(words));
        }
        if let Login::Rejected(words) = attempt(job, account, Some(&admin)).await? {
            return Ok(Login::Rejected(words));
        }
        tracing::info!(
            "the writer accepts this login and the secret's host does not yet; waiting for it to catch up"
        );
        let catches_up = async {
            loop {
                if let Login::Accepted(session) = attempt(job, account, None).await? {
                    return Ok(Login::Accepted(session));
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let what = format!("{} to accept a login that the writer accepts", account.server.host);
        let waited = job.deadline.within(job.deadline.left(), what, catches_up).await;
        waited.map_err(|error| {
            error.remedy("the replica is behind, or a proxy knows other passwords: look at its lag")
        })?
    }
}

/// One login: on the server that the admin would change, or where the secret says.
async fn attempt(job: &Job<'_>, account: &Account, on: Option<&Admin>) -> Result<Login<Writer>> {
    let entrance = Entrance {
        dialect: &connect::POSTGRES,
        server: on.map_or(&account.server, |admin| &admin.server),
        username: &account.username,
        password: &account.password,
        dbname: account.dbname.as_deref().unwrap_or(DBNAME),
    };
    Ok(match connect::login(job, &entrance).await? {
        Login::Accepted(session) => {
            ahead::remember(job, entrance.server);
            Login::Accepted(Writer::own(session))
        }
        Login::Rejected(words) => Login::Rejected(words),
    })
}
