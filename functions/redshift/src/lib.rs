//! Rotates users of Amazon Redshift, provisioned and Serverless; tested against a stand-in. The files of every target: `connect`
//! (turns driver errors into verdicts), `statement` (SQL texts and their quoting). Also `writer` (sets passwords), `checks`
//! (testSecret, with `proof` and `need`) and `endpoint` (finds a cluster's address; `names` knows its others). `alternate` is the
//! strategy with two users, made of `user`, `catalog` (reads the server's catalogs), `right` (privileges, their difference, the
//! statements for it), `databases` (goes through all of them) and `equalize`.

mod alternate;
mod catalog;
mod checks;
mod connect;
mod databases;
mod dialect;
mod endpoint;
mod equalize;
mod names;
mod need;
mod proof;
mod right;
mod statement;
mod user;
mod writer;

use rotation::database::account::Account;
use rotation::database::ahead::Early;
use rotation::database::dialect::{Change, Dialect, Entrance};
use rotation::database::family::Family;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::Result;
use rotation::value::password::Rules;
use rotation::value::strategy::Strategy;
use rotation::value::version::Parsed;
use wire_postgres::connect::Session;

use crate::dialect::Writer;
use crate::endpoint::Clusters;

pub use crate::dialect::Redshift;

/// Redshift has no advisory locks ("Unsupported PostgreSQL functions"). Only the second look at the labels is left; README.md
/// says what that costs.
impl Dialect for Redshift {
    type Account = Account;
    type Session = Session;
    type Identity = String;
    type Lock = ();
    type Directory = Clusters;

    const NAME: &'static str = "redshift";
    const FAMILY: Family = Family {
        names: &["redshift"],
        port: 5439,
        // AWS's default.
        database: Some("dev"),
        strategies: &[Strategy::SingleUser, Strategy::Admin, Strategy::AlternatingUsers],
        // Amazon Redshift, "Names and identifiers".
        username_limit: 127,
        // The rules of "CREATE USER". Secrets Manager's generator makes no spaces, so none are made here. AWS's function excludes
        // `:` as well.
        rules: Rules { lengths: 8..=64, length: 32, exclude: ":/@\"'\\", never: "'\"\\/@ ", mixed: true },
    };

    async fn enter(&self, job: &Job<'_>, entrance: &Entrance<'_>) -> Result<Login<Session>> {
        connect::login(job, &self.ahead, entrance).await
    }

    fn identity(&self, session: &Session) -> String {
        session.user.clone()
    }

    fn early(&self) -> &dyn Early {
        &self.ahead
    }

    async fn begin_as_admin(&self, job: &Job<'_>, session: &mut Session) -> Result<()> {
        session.run(job, "begin the admin's session", statement::BEGIN, &connect::explain).await.map(drop)
    }

    async fn change(&self, change: &Change<'_, Redshift>, writer: &mut Writer) -> Result<()> {
        match change.turn() {
            Some((admin, pair)) => alternate::apply(change, writer, admin, pair).await,
            // The user sets its own password. An admin sets it after the ladder has logged in as the user on this server, or if a
            // reset is allowed.
            None => writer::set_password(change.job, writer, &change.pending.account, None).await,
        }
    }

    async fn test(&self, job: &Job<'_>, session: &mut Session, pending: &Parsed<Account>) -> Result<()> {
        checks::check(self, job, session, pending).await
    }
}
