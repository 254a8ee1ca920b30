//! The strategy `dual-password`: two valid passwords on one account. AWSCURRENT's password works at every instant.
//!
//! MySQL keeps a primary and a secondary password, and `RETAIN CURRENT PASSWORD` moves the *primary* one into the second slot. A
//! rotation that was given up leaves AWSCURRENT's password in the second slot, where the next RETAIN would drop it. So the function
//! makes it primary first: `ALTER USER ... IDENTIFIED BY` without RETAIN leaves the second slot alone. MariaDB keeps a list of
//! authentications, which the function writes as a whole.

use mysql_async::ServerError;
use rotation::database::dialect::Change;
use rotation::database::proxy;
use rotation::database::rds::Rds;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::document::missing;
use rotation::value::version::Parsed;

use crate::account::{Account, Name};
use crate::acting;
use crate::assign;
use crate::connect::{self, Credentials, Session};
use crate::dialect::{Mysql, Writer};
use crate::newer::{self, Newer, Search};
use crate::own::CURRENT_REQUIRED;
use crate::profile::Profile;
use crate::refusal::{self, NOT_PRIMARY, POLICY, TOO_SIMILAR};
use crate::statement;
use crate::stored::{self, Method, NATIVE};

/// The password history forbids the password.
const IN_HISTORY: u16 = 3638;

/// Whether the session's user may keep two passwords without an admin's help (MySQL manual, "Password Management").
pub(crate) async fn can_keep_two_passwords(job: &Job<'_>, session: &mut Session) -> Result<bool> {
    if session.server.is_mariadb() {
        return Ok(false);
    }
    let rows = session.run(job, "list what the user may do", "SHOW GRANTS", refusal::statement).await?;
    let mut global = rows.iter().flatten().flatten().filter(|line| line.contains(" ON *.* TO "));
    Ok(global.any(|line| line.contains("APPLICATION_PASSWORD_ADMIN") || line.contains("CREATE USER")))
}

/// Makes pending valid beside current in these accounts. It checks all accounts before it changes the first.
pub(crate) async fn apply_to_all(
    change: &Change<'_, Mysql>,
    writer: &mut Writer,
    names: &[Name],
) -> Result<()> {
    acting::log_other_hosts(change.job, writer, names).await?;
    for name in names {
        acting::guard_if_other(change, writer, name).await?;
    }
    for name in names {
        apply(change.job, writer, name, change.current, change.pending).await?;
    }
    fill_cache(change.job, writer, change.current).await
}

/// Logs in once. `ALTER USER` drops the account from the server's cache of `caching_sha2_password`; without an entry the server refuses
/// clients that use neither TLS nor the server's public key (MySQL manual, "Caching SHA-2 Pluggable Authentication").
async fn fill_cache(job: &Job<'_>, writer: &Writer, parsed: &Parsed<Account>) -> Result<()> {
    if writer.server.is_mariadb() {
        return Ok(());
    }
    let credentials =
        Credentials { user: &parsed.account.username, password: &parsed.account.password, dbname: None };
    let server = proxy::behind::<Rds>(job, &parsed.account.server).await?;
    match connect::login(job, &server, credentials).await {
        Ok(Login::Accepted(_)) => Ok(()),
        Ok(Login::Rejected(words)) => {
            let what = format!("AWSCURRENT does not log in any more at {}", server.host);
            Err(Error::new(Kind::CredentialRejected, what).cause(words))
        }
        Err(error) => {
            let reason = error.report();
            tracing::warn!(reason, "clients without TLS may be refused until one logs in with TLS");
            Ok(())
        }
    }
}

/// Settles every account that is known to have the new password, after the promotion.
pub(crate) async fn settle_all(job: &Job<'_>, writer: &mut Writer, current: &Parsed<Account>) -> Result<()> {
    let proven = acting::proven(job, writer, &current.account).await?;
    for name in current.account.names(&current.account.username, &proven) {
        if name == proven || acting::is_known_to_have(job, writer, &name, &current.account.password).await? {
            settle(job, writer, &name, current).await?;
        }
    }
    if current.account.discard_old { fill_cache(job, writer, current).await } else { Ok(()) }
}

/// Makes pending valid beside current.
async fn apply(
    job: &Job<'_>,
    writer: &mut Writer,
    name: &Name,
    current: &Parsed<Account>,
    pending: &Parsed<Account>,
) -> Result<()> {
    if !writer.server.has_two_passwords() {
        let what = format!("{} has no accounts with two passwords", writer.server.name());
        return Err(Error::new(Kind::ServerRefused, what)
            .remedy("use the strategy \"alternating-users\", or upgrade to MySQL 8.0.14 or MariaDB 10.4"));
    }
    if writer.server.is_mariadb() {
        if !writer.is_admin {
            return Err(
                missing("masterarn").cause("on MariaDB only an admin can give an account two passwords")
            );
        }
        let pair = vec![native(job, current)?, native(job, pending)?];
        // If another method kept AWSCURRENT's password, that method would accept it for ever.
        let stays = |other: &Method| !other.is_opened_by(&current.account.password);
        return rewrite(job, writer, name, |_| pair, stays).await;
    }
    if let Primary::Newer(newer, answer) = make_primary(job, writer, name, current).await? {
        // If an earlier try has made pending primary, current is in the second slot.
        if newer.id == pending.id || newer.gives_way(job, name, pending, answer).await? {
            return Ok(());
        }
    }
    let doing = "add the new password";
    let replace = &current.account.password;
    let answer = change(job, writer, name, doing, &pending.account.password, replace, true).await?;
    answer.map_err(|answer| refusal::of(&writer.place, doing, &answer, explain))
}

/// Runs after the promotion. It discards the second password if the secret says so. On MariaDB it also moves the new password to
/// the front, because some clients follow only one switch of authentication.
async fn settle(job: &Job<'_>, writer: &mut Writer, name: &Name, current: &Parsed<Account>) -> Result<()> {
    let discard = current.account.discard_old;
    if writer.server.is_mariadb() {
        let first = native(job, current)?;
        let natives = |old: Vec<Method>| {
            let rest = old.into_iter().filter(|method| !discard && *method != first);
            std::iter::once(first.clone()).chain(rest).collect()
        };
        return rewrite(job, writer, name, natives, |_| true).await;
    }
    if !discard {
        return Ok(());
    }
    // This step may run late, after a newer rotation has made its password primary.
    if let Primary::Newer(newer, _) = make_primary(job, writer, name, current).await? {
        tracing::warn!(
            newer = newer.id.as_str(),
            "a newer password is in front; the old one is not discarded"
        );
        return Ok(());
    }
    let sql = statement::discard_old(&target(writer, name));
    writer.run(job, "discard the old password", &sql, explain).await.map(drop)
}

/// The version whose password is primary.
enum Primary {
    /// The version that was asked for.
    Asked,
    /// This newer version logs in. The server refused to make the asked-for password primary, with this error.
    Newer(Newer, Error),
}

/// Makes a version's password primary, if it is not yet. The password keeps working all the time.
async fn make_primary(
    job: &Job<'_>,
    writer: &mut Writer,
    name: &Name,
    parsed: &Parsed<Account>,
) -> Result<Primary> {
    let doing = "put the current password in front";
    let (password, replace) = (&parsed.account.password, writer.login.password.share());
    let answer = match change(job, writer, name, doing, password, &replace, false).await? {
        Ok(()) => return Ok(Primary::Asked),
        Err(answer) => answer,
    };
    let error = refusal::of(&writer.place, doing, &answer, explain);
    // A policy may have become stricter since the password was made, or refuse a password that stays the same.
    if ![IN_HISTORY, NOT_PRIMARY, POLICY, TOO_SIMILAR].contains(&answer.code) {
        return Err(error);
    }
    match newer::search(job, writer, name, parsed).await? {
        Search::Found(newer) => Ok(Primary::Newer(newer, error)),
        Search::Nothing => Ok(Primary::Asked),
        Search::GivenUp => {
            Err(error
                .cause("not every newer version was tried, because one more refusal may lock the account"))
        }
    }
}

/// Changes the primary password, as the user itself or as an admin. Only from the user itself the server asks for the current
/// password.
#[expect(
    clippy::disallowed_methods,
    reason = "exposes the passwords to the statement that changes one into the other"
)]
async fn change(
    job: &Job<'_>,
    writer: &mut Writer,
    name: &Name,
    doing: &str,
    password: &Secret,
    replace: &Secret,
    retain: bool,
) -> Result<Result<(), ServerError>> {
    let target = target(writer, name);
    let sql = |current| Secret::new(statement::change_password(&target, password.expose(), current, retain));
    match writer.attempt_secret(job, doing, &sql(None)).await? {
        Err(answer) if answer.code == CURRENT_REQUIRED => {
            writer.attempt_secret(job, doing, &sql(Some(replace.expose()))).await
        }
        answer => Ok(answer),
    }
}

/// The account to change, in SQL: the session's own, or the one proven to be the secret's.
fn target(writer: &Writer, name: &Name) -> String {
    if !writer.is_admin && *name == writer.login.name { "USER()".to_owned() } else { name.sql() }
}

/// A version's password in the form that MariaDB stores.
#[expect(clippy::disallowed_methods, reason = "exposes a hash to the list of authentications")]
fn native(job: &Job<'_>, parsed: &Parsed<Account>) -> Result<Method> {
    let hash = stored::known_hash(NATIVE, &parsed.account.password)?;
    job.scrub.learn(&hash);
    Ok(Method::native(hash.expose()))
}

/// Replaces the account's native authentications, and puts the other methods that `stays` keeps behind them. An account that is
/// right already is not changed. Native authentications come first, because many clients, our driver among them, follow only one
/// switch: they reach the first without a switch and the second with one.
async fn rewrite(
    job: &Job<'_>,
    writer: &mut Writer,
    name: &Name,
    natives: impl FnOnce(Vec<Method>) -> Vec<Method>,
    stays: impl Fn(&Method) -> bool,
) -> Result<()> {
    let profile = Profile::of(job, writer, name).await?;
    let is_native = |method: &Method| method.plugin == NATIVE;
    if !profile.methods.iter().any(is_native) {
        let what = format!("the account {name} has no {NATIVE} password, and only of those there can be two");
        return Err(Error::new(Kind::ServerRefused, what)
            .remedy(format!("give it one: ALTER USER ... IDENTIFIED VIA {NATIVE} USING PASSWORD('...')")));
    }
    let (old, mut others): (Vec<Method>, Vec<Method>) = profile.methods.iter().cloned().partition(is_native);
    others.retain(|method| {
        let stays = stays(method);
        if !stays {
            tracing::warn!(
                account = name.to_string(),
                plugin = method.plugin,
                "this method has AWSCURRENT's password too; it is dropped"
            );
        }
        stays
    });
    let methods = [natives(old), others].concat();
    if methods == profile.methods {
        return Ok(());
    }
    assign::alter(job, writer, name, &assign::via(&methods), explain_list).await
}

fn explain_list(code: u16) -> Option<(Kind, &'static str)> {
    (code == POLICY).then_some((
        Kind::ServerRefused,
        "a list of authentications is written as hashes, and this server takes none: SET GLOBAL strict_password_validation = OFF, or use \
         the strategy \"alternating-users\" with PASSWORD_FORM=plaintext",
    ))
}

fn explain(code: u16) -> Option<(Kind, &'static str)> {
    Some(match code {
        1227 => (
            Kind::ServerRefused,
            "only two ways lead to two passwords: GRANT APPLICATION_PASSWORD_ADMIN ON *.* to the user, or name an admin's secret in \
             \"masterarn\" (CREATE USER is enough for that admin)",
        ),
        IN_HISTORY => (
            Kind::ServerRefused,
            "a rotation that was given up has left a newer password in front of AWSCURRENT, and the password history forbids to put \
             AWSCURRENT back: ALTER USER ... PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY until the next rotation is through",
        ),
        NOT_PRIMARY | CURRENT_REQUIRED => (
            Kind::ServerRefused,
            "a rotation that was given up has left a newer password in front of AWSCURRENT, and the server wants to see that one: name \
             an admin's secret in \"masterarn\", or ALTER USER ... PASSWORD REQUIRE CURRENT OPTIONAL until the next rotation is through",
        ),
        _ => return None,
    })
}
