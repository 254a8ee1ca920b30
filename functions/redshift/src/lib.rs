//! Rotates users of Amazon Redshift, provisioned and Serverless. The files of every target: `connect` (driver errors become
//! verdicts), `statement` (SQL texts and their quoting); here also `writer` (the session that makes changes), `endpoint`
//! (where a cluster is), and for the strategy with two users `alternate`, made of `user`, `catalog` (what the server says)
//! and `right` (privileges as values, their difference, the statements for it).

mod alternate;
mod catalog;
mod connect;
mod endpoint;
mod right;
mod statement;
mod user;
mod writer;

use rotate_postgres::ahead;
use rotation::database::account::{Account, Engine, secrets};
use rotation::database::admin::Admin;
use rotation::database::alternation::Equality;
use rotation::document::Document;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::parse;
use rotation::password::{Policy, Rules};
use rotation::secret::Secret;
use rotation::settings::Settings;
use rotation::strategy::Strategy;
use rotation::target::{Login, Target};
use rotation::version::{Labels, Parsed, Stage};

use crate::connect::explain;
pub use crate::writer::Writer;

/// What Redshift fixes for every account.
const ENGINE: Engine = Engine {
    names: &["redshift"],
    port: 5439,
    strategies: &[Strategy::SingleUser, Strategy::Admin, Strategy::AlternatingUsers],
    // Amazon Redshift, "Names and identifiers".
    username_limit: 127,
    // "CREATE USER"; Secrets Manager's generator makes no spaces, and neither do we. AWS's function leaves out `:` as well.
    rules: Rules { lengths: 8..=64, length: 32, exclude: ":/@\"'\\", never: "'\"\\/@ ", mixed: true },
};

/// The target.
pub struct Redshift;

impl Target for Redshift {
    type Account = Account;
    type Session = Writer;
    type Admin = Admin;

    const NAME: &'static str = "redshift";

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
        let managed = async |labels: &Labels| endpoint::of_managed(job, labels).await;
        // A cluster has one name: there are no replicas, and other names for it are not known here.
        Admin::find(job, account, &ENGINE, managed, async |_: &str, _: &str| Ok(false)).await
    }

    fn approach(&self, job: &Job<'_>, account: Option<&Account>) {
        ahead::approach(job, account.map(|account| &account.server));
    }

    async fn login(&self, job: &Job<'_>, account: &Account, on: Option<&Admin>) -> Result<Login<Writer>> {
        Ok(match connect::login(job, account, on).await? {
            Login::Accepted(session) => {
                ahead::remember(job, on.map_or(&account.server, |admin| &admin.server));
                Login::Accepted(Writer::own(session))
            }
            Login::Rejected(words) => Login::Rejected(words),
        })
    }

    async fn writer(&self, job: &Job<'_>, admin: Option<&Admin>, proven: Option<Writer>) -> Result<Writer> {
        let Some(admin) = admin else {
            return proven
                .ok_or_else(|| Error::new(Kind::Bug, "a single user has nobody else to act for it"));
        };
        let session = connect::admin(job, admin, None).await?;
        Ok(Writer { proven: proven.map(|proven| proven.session.user), ..Writer::own(session) })
    }

    /// Redshift has no advisory locks ("Unsupported PostgreSQL functions"): only the second look at the labels is left, and
    /// README.md says what that costs. The secret's name is noted for its mark.
    async fn lock(&self, _: &Job<'_>, writer: &mut Writer, secret_arn: &str) -> Result<()> {
        secret_arn.clone_into(&mut writer.secret_arn);
        Ok(())
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
            Some(admin) if current.account.alternation.is_some() => {
                alternate::apply(job, &writer, admin, current, pending).await
            }
            // The user itself, or an admin after the ladder has logged in as this user, on this server.
            _ => writer.set_password(job, &pending.account, None).await,
        }
    }

    async fn check(&self, job: &Job<'_>, writer: &mut Writer, pending: &Parsed<Account>) -> Result<()> {
        let who = writer.session.run(job, "say who is logged in", statement::WHO, &explain).await?;
        let who = who.into_iter().flatten().flatten().next().unwrap_or_default();
        if who != pending.account.username {
            let what = format!("the login as {:?} became a session of {who:?}", pending.account.username);
            return Err(Error::new(Kind::NotOurs, what)
                .remedy("a pooler or proxy maps users: point the secret at the cluster itself"));
        }
        compare(job, pending).await?;
        let check = pending.account.statement.as_deref().unwrap_or(statement::CHECK);
        writer.session.run(job, "run the test statement", check, &explain).await.map(drop)
    }
}

/// An alternate that is to follow the original must not be able to do less.
async fn compare(job: &Job<'_>, pending: &Parsed<Account>) -> Result<()> {
    let Some(pair) = &pending.account.alternation else { return Ok(()) };
    if pending.account.username != pair.alternate || pair.sync == Equality::Untouched {
        return Ok(());
    }
    let current = parse::current(&Redshift, job, job.store.labelled(Stage::Current).await)?;
    if current.account.username != pair.original {
        return Ok(());
    }
    let Some(admin) = Redshift.admin(job, &pending.account).await? else { return Ok(()) };
    let lacking = alternate::lacking(job, &admin, pair).await?;
    if lacking.is_empty() {
        return Ok(());
    }
    let what = format!("{:?} may do less than {:?}, which is in use", pair.alternate, pair.original);
    let first: String = lacking.join("; ").chars().take(1_000).collect();
    Err(Error::new(Kind::ServerRefused, what)
        .cause(format!("{} statements would make up for it: {first}", lacking.len()))
        .remedy("privileges were changed in the middle of the rotation, or something keeps taking them: rotate again"))
}
