//! Rotates the password of a Redis ACL user, with two passwords valid at once. docs/contributing.md walks through this example.
//! It is complete enough to rotate a real server in the tests, and is not deployed.

pub mod connect;

use aws_lc_rs::digest::{SHA256, digest};
use rotation::database::account::Account;
use rotation::database::dialect::{Change, Dialect, Entrance};
use rotation::database::family::Family;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::said::Said;
use rotation::secret::Secret;
use rotation::value::encode::hex;
use rotation::value::password::Rules;
use rotation::value::strategy::Strategy;
use rotation::value::version::Parsed;

use crate::connect::Session;

/// The target.
pub struct Redis;

/// A session that makes changes.
type Writer = rotation::database::dialect::Writer<Redis>;

impl Dialect for Redis {
    type Account = Account;
    type Session = Session;
    type Identity = ();
    type Lock = ();
    type Directory = ();

    const NAME: &'static str = "redis";
    const FAMILY: Family = Family {
        names: &["redis"],
        port: 6379,
        database: None,
        strategies: &[Strategy::DualPassword],
        username_limit: 128, // Redis has no limit; a longer name is a mistake
        rules: Rules { lengths: 8..=128, length: 32, exclude: ":/@\"'\\", never: "", mixed: false },
    };

    async fn enter(&self, job: &Job<'_>, entrance: &Entrance<'_>) -> Result<Login<Session>> {
        connect::login(job, entrance).await
    }

    fn identity(&self, _: &Session) {}

    /// A single command, so nobody sees half of the change. It includes AWSCURRENT's password, so it may come late or twice.
    async fn change(&self, change: &Change<'_, Redis>, writer: &mut Writer) -> Result<()> {
        let (current, pending) = (&change.current.account, &change.pending.account);
        let user = &pending.username;
        let (old, new) = (hash(&current.password), hash(&pending.password));
        let answer = writer.ask(change.job, &["ACL", "SETUSER", user, "resetpass", &old, &new]).await?;
        answer.map(drop).map_err(|words| {
            Error::new(Kind::ServerRefused, format!("Redis refused a second password for {user:?}"))
                .cause(Said::new(&words))
                .remedy("the user changes its own passwords, so it needs +acl|setuser and +acl|getuser")
        })
    }

    async fn test(&self, job: &Job<'_>, session: &mut Session, pending: &Parsed<Account>) -> Result<()> {
        let user = &pending.account.username;
        match session.ask(job, &["ACL", "WHOAMI"]).await? {
            Ok(words) if words == [user.as_str()] => Ok(()),
            answer => Err(Error::new(Kind::NotOurs, format!("the session is not {user:?}'s"))
                .cause(Said::new(&answer.unwrap_or_else(|refusal| vec![refusal]).join(" ")))),
        }
    }
}

/// The hash that Redis stores, and accepts in place of the password. So a server that logs commands does not log the password.
fn hash(password: &Secret) -> String {
    #[expect(clippy::disallowed_methods, reason = "exposes the password to the digest that Redis stores")]
    let digest = digest(&SHA256, password.expose().as_bytes());
    format!("#{}", hex(digest.as_ref()))
}
