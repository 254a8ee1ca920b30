//! Who acts for an account, and whether the account is the secret's own (docs/decisions/0003-guard.md).

use std::cell::RefCell;

use rotation::database::admin;
use rotation::database::alternation::{Alternation, Equality};
use rotation::database::guard;
use rotation::document::missing;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::parse;
use rotation::rds;
use rotation::secret::Secret;
use rotation::strategy::Strategy;
use rotation::target::Login;
use rotation::version::{Labels, Parsed};
use serde_json::json;

use crate::Mysql;
use crate::account::{Account, ENGINE, Name};
use crate::alternate;
use crate::connect::{self, Proof, Session, Who};
use crate::dual;
use crate::grants;
use crate::profile::{MARK, Profile};
use crate::refusal;
use crate::statement::{self, literal};
use crate::stored;

/// An admin, and what the secret has shown for itself on the admin's server.
pub struct Admin {
    /// Whom to log in as, and where.
    pub identity: admin::Admin,
    /// The strategy, for which the account itself may be able to act.
    strategy: Strategy,
    /// The logins with the secret's own passwords that were accepted there.
    pub proofs: RefCell<Vec<Proof>>,
}

impl Admin {
    /// Reads the admin's secret where the strategy has one, and makes sure that it is for the account's server.
    pub async fn find(job: &Job<'_>, account: &Account) -> Result<Option<Admin>> {
        let managed = async |labels: &Labels| rds::endpoint(job, labels).await;
        let one_server = async |admin: &str, child: &str| rds::one_server(job, admin, child).await;
        let found = admin::Admin::find(job, account, &ENGINE, managed, one_server).await?;
        Ok(found.map(|identity| Admin { identity, strategy: account.strategy, proofs: RefCell::default() }))
    }

    /// The session that makes changes: the account's own where that can and may, else the admin's.
    pub async fn session(&self, job: &Job<'_>, mut proven: Option<Session>) -> Result<Session> {
        let admin::Admin { server, username, password, .. } = &self.identity;
        if let Some(mut own) = proven {
            let here = own.at.host == server.host && own.at.port == server.port;
            if self.strategy == Strategy::DualPassword && here && dual::may_itself(job, &mut own).await? {
                return Ok(own);
            }
            proven = Some(own);
        }
        match connect::login(job, server, Who { user: username, password, dbname: None }).await? {
            Login::Accepted(mut session) => {
                session.is_admin = true;
                session.proven = proven.as_ref().map(|proven| proven.login.share());
                Ok(session)
            }
            Login::Rejected(words) => {
                let what = format!("the server refused the login of the admin {username:?}");
                Err(Error::new(Kind::CredentialRejected, what).cause(words).remedy(format!(
                    "the admin secret {} does not hold the admin's password: correct it there",
                    self.identity.secret_name
                )))
            }
        }
    }
}

/// The accounts that are changed for a user, in the order in which that is done. A list of host parts has to have the one that the
/// function itself is matched with: by that one every later step judges whether all is done.
pub(crate) async fn names(job: &Job<'_>, writer: &mut Session, account: &Account) -> Result<Vec<Name>> {
    let proven = proven(job, writer, account).await?;
    let names = account.names(&account.username, &proven);
    if names.iter().all(|name| name.host != proven.host) {
        let what = format!("\"hosts\" does not list {:?}, and the function logs in as {proven}", proven.host);
        return Err(Error::new(Kind::BadSecret, what).remedy("add it to \"hosts\", or leave \"hosts\" out"));
    }
    Ok(names)
}

/// The account that has shown itself to be the secret's. After a reset nothing has, and there may be only one to mean.
pub(crate) async fn proven(job: &Job<'_>, writer: &mut Session, account: &Account) -> Result<Name> {
    if !writer.is_admin {
        return Ok(writer.login.name.clone());
    }
    if let Some(proven) = &writer.proven {
        return Ok(proven.name.clone());
    }
    let user = &account.users()[0];
    let hosts = match &account.hosts {
        Some(hosts) => hosts.clone(),
        None => hosts(job, writer, user).await?,
    };
    match hosts.as_slice() {
        [host, ..] if account.hosts.is_some() || hosts.len() == 1 => Ok(Name::new(user, host)),
        _ => Err(Error::new(
            Kind::NotOurs,
            format!("the user {user:?} has {} host parts, and no login says which", hosts.len()),
        )
        .remedy("list those that belong to the secret under \"hosts\"")),
    }
}

async fn hosts(job: &Job<'_>, admin: &mut Session, user: &str) -> Result<Vec<String>> {
    let rows = admin
        .run(
            job,
            "list the user's host parts",
            &statement::hosts(user, admin.server.is_mariadb()),
            refusal::statement,
        )
        .await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Names the accounts of the same user that stay as they are.
pub(crate) async fn tell_of_others(job: &Job<'_>, writer: &mut Session, names: &[Name]) -> Result<()> {
    let (true, Some(first)) = (writer.is_admin, names.first()) else { return Ok(()) };
    let mut others = hosts(job, writer, &first.user).await?;
    others.retain(|host| names.iter().all(|name| name.host != *host));
    if !others.is_empty() {
        let others = others.join(", ");
        tracing::info!(
            user = first.user,
            others,
            "the user has more host parts; list them under \"hosts\" to rotate them too"
        );
    }
    Ok(())
}

/// Refuses an account that is neither the proven one nor otherwise shown to be the secret's.
pub(crate) async fn guard_if_other(
    job: &Job<'_>,
    writer: &mut Session,
    admin: Option<&Admin>,
    versions: [&Parsed<Account>; 2],
    name: &Name,
) -> Result<()> {
    if [Some(&writer.login), writer.proven.as_ref()].iter().flatten().any(|proof| proof.name == *name) {
        return Ok(());
    }
    let admin = admin.ok_or_else(|| {
        missing("masterarn").cause(format!("the account {name} is not the one that logs in from here"))
    })?;
    let found = Profile::of(job, writer, name).await?;
    guard(job, writer, admin, versions, name, &found).await
}

/// Refuses an account that nothing proves to be the secret's. The versions are current and pending.
pub(crate) async fn guard(
    job: &Job<'_>,
    writer: &Session,
    admin: &Admin,
    versions: [&Parsed<Account>; 2],
    name: &Name,
    found: &Profile,
) -> Result<()> {
    if is_ours(job, writer, admin, versions, name, found).await? || guard::may_reset(job, &name.to_string()) {
        return Ok(());
    }
    Err(guard::not_ours(&name.to_string(), &marking(writer, name)))
}

/// The statement with which an admin says that an account is this secret's. On MariaDB it closes the account until the rotation.
pub(crate) fn marking(writer: &Session, name: &Name) -> String {
    let mark = if writer.server.is_mariadb() {
        format!(
            "IDENTIFIED VIA {} USING {}",
            stored::NATIVE,
            literal(&stored::placeholder(&writer.secret_arn, name))
        )
    } else {
        format!("ATTRIBUTE {}", literal(&json!({ MARK: writer.secret_arn }).to_string()))
    };
    statement::alter(name, &mark)
}

/// An account is the secret's if it carries the mark, if a password of the secret's has opened it, or if what is stored for it
/// is such a password's.
pub(crate) async fn is_ours(
    job: &Job<'_>,
    writer: &Session,
    admin: &Admin,
    versions: [&Parsed<Account>; 2],
    name: &Name,
    found: &Profile,
) -> Result<bool> {
    if is_shown(writer, admin, name, found) {
        return Ok(true);
    }
    // Of the user that has logged in, other versions could only open the same account. Where nobody has, all were tried.
    if writer.proven.as_ref().is_some_and(|proof| proof.name.user != name.user) {
        let same_user = |account: &Account| account.username == name.user;
        guard::some_version_opens(&Mysql, job, admin, versions[0], same_user).await?;
    }
    Ok(is_shown(writer, admin, name, found)
        || (writer.server.is_mariadb() && is_stored(job, versions, name, found).await?))
}

fn is_shown(writer: &Session, admin: &Admin, name: &Name, found: &Profile) -> bool {
    let proofs = admin.proofs.borrow();
    found.is_marked(&writer.secret_arn, name)
        || proofs.iter().chain(&writer.proven).any(|proof| {
            proof.name == *name || (proof.name.user == name.user && found.stores(&proof.password))
        })
}

/// Whether the server stores the password of some version, which takes no login to see: a rotation that broke off between two host
/// parts has left its own password in the first.
async fn is_stored(
    job: &Job<'_>,
    [current, pending]: [&Parsed<Account>; 2],
    name: &Name,
    found: &Profile,
) -> Result<bool> {
    let is_it = |account: &Account| account.username == name.user && found.stores(&account.password);
    if is_it(&current.account) || is_it(&pending.account) {
        return Ok(true);
    }
    for id in job.store.all_versions().await? {
        let read = job.store.version(&id).await;
        if parse::older(&Mysql, job, current, read)?.is_some_and(|parsed| is_it(&parsed.account)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an account other than the proven one can be told to have this password: marked, or known by what is stored.
pub(crate) async fn holds(
    job: &Job<'_>,
    writer: &mut Session,
    name: &Name,
    password: &Secret,
) -> Result<bool> {
    let found = Profile::read(job, writer, name).await?;
    let holds =
        found.is_some_and(|found| found.is_marked(&writer.secret_arn, name) || found.stores(password));
    if !holds {
        tracing::warn!(
            account = name.to_string(),
            "nothing shows that this account has the new password; it is left as it is"
        );
    }
    Ok(holds)
}

/// How many more refused logins the account can bear before the server locks it, where there is such a limit.
pub(crate) async fn patience(job: &Job<'_>, account: &Account, admin: &Admin) -> Option<u32> {
    let mut session = admin.session(job, None).await.ok()?;
    let mut limits = Vec::new();
    if session.server.is_mariadb() {
        let doing = "tell after how many wrong logins it blocks a user";
        let rows = session.run(job, doing, statement::WRONG_LOGINS, refusal::statement).await.ok()?;
        limits.extend(rows.first().and_then(|row| row.first()?.as_deref()?.parse::<u32>().ok()));
    } else {
        for host in hosts(job, &mut session, &account.username).await.ok()? {
            let profile =
                Profile::read(job, &mut session, &Name::new(&account.username, &host)).await.ok()??;
            limits.extend(profile.bears);
        }
    }
    // One has been refused, and the one that reaches the limit must not be sent.
    limits.into_iter().min().map(|limit| limit.saturating_sub(2))
}

/// testSecret: whether the alternate may do what the original may.
pub(crate) async fn compare(
    job: &Job<'_>,
    pair: &Alternation,
    account: &Account,
    alternate: &Name,
) -> Result<()> {
    if pair.sync == Equality::Untouched {
        return Ok(());
    }
    let Some(admin) = Admin::find(job, account).await? else { return Ok(()) };
    let mut session = admin.session(job, None).await?;
    for name in account.names(&pair.alternate, alternate) {
        equal(job, &mut session, pair, &name).await?;
    }
    Ok(())
}

async fn equal(job: &Job<'_>, session: &mut Session, pair: &Alternation, alternate: &Name) -> Result<()> {
    let original = Name::new(&pair.original, &alternate.host);
    let mut left = alternate::difference(job, session, &original, alternate, pair.sync).await?;
    let mut gone = Vec::new();
    for grant in left.missing.keys() {
        if alternate::is_gone(job, session, grant).await? {
            gone.push(grant.clone());
        }
    }
    left.missing.retain(|grant, _| !gone.contains(grant));
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::ServerRefused, format!("{alternate} is not equal to {original}"))
        .cause(format!("it lacks: {}", grants::words(&left.missing)))
        .cause(format!("it has beyond: {}", grants::words(&left.extra)))
        .remedy("somebody changed one of the two during the rotation: run it again, which makes them equal"))
}
