//! Rotates the password of a Redis ACL user, with two passwords valid at once. This is the example that docs/contributing.md
//! walks through: complete enough to rotate a real server in the tests, and not deployed.

pub mod connect;

use aws_lc_rs::digest::{SHA256, digest};
use rotation::database::account::{Account, Engine, secrets};
use rotation::document::Document;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::password::{Policy, Rules};
use rotation::secret::Secret;
use rotation::settings::Settings;
use rotation::strategy::Strategy;
use rotation::target::{Login, Target};
use rotation::version::Parsed;

use crate::connect::Session;

/// What Redis fixes for every account.
const ENGINE: Engine = Engine {
    names: &["redis"],
    port: 6379,
    strategies: &[Strategy::DualPassword],
    username_limit: 128, // Redis has none; a longer one is a mistake
    rules: Rules { lengths: 8..=128, length: 32, exclude: ":/@\"'\\", never: "", mixed: false },
};

/// The target.
pub struct Redis;

impl Target for Redis {
    type Account = Account;
    type Session = Session;
    type Admin = ();

    const NAME: &'static str = "redis";

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

    async fn propose(&self, job: &Job<'_>, current: &Parsed<Account>) -> Result<Document> {
        current.account.renewed(&current.document, job.settings, &ENGINE.rules)
    }

    fn rehearse(&self, job: &Job<'_>, _: &Account) -> Result<()> {
        Policy::new(&job.settings.password, &ENGINE.rules).map(drop)
    }

    async fn admin(&self, _: &Job<'_>, _: &Account) -> Result<Option<()>> {
        Ok(None)
    }

    async fn login(&self, job: &Job<'_>, account: &Account, _: Option<&()>) -> Result<Login<Session>> {
        connect::login(job, account).await
    }

    async fn writer(&self, _: &Job<'_>, _: Option<&()>, proven: Option<Session>) -> Result<Session> {
        proven.ok_or_else(|| Error::new(Kind::Bug, "the user has nobody else to act for it"))
    }

    /// One command, so nobody ever sees a half of it; and AWSCURRENT's password is in it, so it can come late or twice.
    async fn apply(
        &self,
        job: &Job<'_>,
        mut writer: Session,
        _: Option<&()>,
        current: &Parsed<Account>,
        pending: &Parsed<Account>,
    ) -> Result<()> {
        let user = &pending.account.username;
        let (old, new) = (hash(&current.account.password), hash(&pending.account.password));
        let answer = writer.ask(job, &["ACL", "SETUSER", user, "resetpass", &old, &new]).await?;
        answer.map(drop).map_err(|words| {
            Error::new(Kind::ServerRefused, format!("Redis refused a second password for {user:?}"))
                .cause(words)
                .remedy("the user changes its own passwords, so it needs +acl|setuser and +acl|getuser")
        })
    }

    async fn check(&self, job: &Job<'_>, session: &mut Session, pending: &Parsed<Account>) -> Result<()> {
        let user = &pending.account.username;
        match session.ask(job, &["ACL", "WHOAMI"]).await? {
            Ok(words) if words == [user.as_str()] => Ok(()),
            answer => Err(Error::new(Kind::NotOurs, format!("the session is not {user:?}'s"))
                .cause(answer.map_or_else(|refusal| refusal, |words| words.join(" ")))),
        }
    }
}

/// What Redis keeps of a password, and takes in its place: the log of a server that logs commands shows no more.
fn hash(password: &Secret) -> String {
    #[expect(clippy::disallowed_methods, reason = "exposes the password to the digest that Redis stores")]
    let digest = digest(&SHA256, password.expose().as_bytes());
    digest.as_ref().iter().fold("#".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
}
