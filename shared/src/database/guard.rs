//! Guard, third part: the account that is about to be changed is the secret's own. The first part, a login with the secret's
//! own credential on the admin's server, is the ladder's; the second is in `host`. docs/decisions/0003-guard.md has the reasons.

use std::borrow::Borrow;

use super::account::Account;
use super::admin::Admin;
use super::dialect::{Change, Dialect, Writer};
use crate::engine::job::Job;
use crate::engine::parse;
use crate::engine::target::{Login, Target};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::value::version::{Parsed, Stage, Version, VersionId};

/// What the server says about the account that is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no such account yet.
    Absent,
    /// An admin has written this secret's mark on it.
    Marked,
    /// It exists, and nothing on the server says whose it is.
    Unmarked,
}

/// What an admin writes on an account to say that this secret may change it: among other words of the account's comment, or
/// wherever the server lets only an admin write.
pub fn mark(secret_arn: &str) -> String {
    format!("turnlock:{secret_arn}")
}

/// Whether a comment carries this secret's mark, among whatever else people wrote there.
pub fn is_marked(comment: &str, secret_arn: &str) -> bool {
    comment.split_whitespace().any(|word| word == mark(secret_arn))
}

/// The comment with the mark added.
pub fn marked(comment: &str, secret_arn: &str) -> String {
    format!("{comment}\n{}", mark(secret_arn)).trim_start().to_owned()
}

/// An account on the server that is about to be changed, or whose powers are about to be given to the other one of its pair.
pub trait Subject<I> {
    /// The user whose versions can open it.
    fn user(&self) -> &str;

    /// What the server says about it.
    fn standing(&self) -> Standing;

    /// Whether this login has opened it.
    fn is_opened_by(&self, proof: &I) -> bool;

    /// The account in errors.
    fn name(&self) -> String;

    /// The statement with which an admin marks it.
    fn marking(&self) -> String;

    /// Whether a version for its user could still open it. `proven` is the login that the secret has shown.
    fn could_be_opened(&self, _proven: Option<&I>) -> bool {
        true
    }

    /// Whether the server shows what it stores of this account's password, so that no login is needed.
    fn shows_what_is_stored(&self) -> bool {
        false
    }

    /// Whether the server stores this password for it.
    fn stores(&self, _password: &Secret) -> bool {
        false
    }
}

/// A subject on servers where an account is a name and nothing else.
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// What the server says about it.
    pub standing: Standing,
    /// The statement that marks it.
    pub marking: String,
}

impl<I: AsRef<str>> Subject<I> for Named<'_> {
    fn user(&self) -> &str {
        self.name
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    fn is_opened_by(&self, proof: &I) -> bool {
        proof.as_ref() == self.name
    }

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn marking(&self) -> String {
        self.marking.clone()
    }
}

/// The guard over one change.
pub struct Guard<'a, D: Dialect> {
    change: &'a Change<'a, D>,
    admin: &'a Admin<D::Identity>,
    proven: Option<&'a D::Identity>,
}

impl<'a, D: Dialect> Guard<'a, D> {
    /// Over a change that an admin makes with this writer.
    pub fn new(change: &'a Change<'a, D>, admin: &'a Admin<D::Identity>, writer: &'a Writer<D>) -> Self {
        Guard { change, admin, proven: writer.proven.as_ref() }
    }

    /// Refuses an account that is not the secret's own, unless the deployment lets the admin set its password without any proof. Of
    /// two users whose passwords are lost the second is reset by the next rotation, in which the first logs in.
    pub async fn demand(&self, subject: &impl Subject<D::Identity>) -> Result<()> {
        if self.is_ours(subject).await? {
            return Ok(());
        }
        let account = subject.name();
        if !self.change.job.settings.admin_reset {
            return Err(not_ours(&account, &subject.marking()));
        }
        tracing::warn!(account, "ADMIN_RESET lets the admin set this account's password without any proof");
        Ok(())
    }

    /// Whether an account is the secret's own: it does not exist yet, an admin has marked it, it has been logged in to, some other
    /// version of the secret logs in as it, or the server stores a version's password for it.
    ///
    /// Asked of the account that gets a password, and of the other one of its pair before anything is copied or handed over between
    /// the two: a secret that proves one account only must not get what another has.
    pub async fn is_ours(&self, subject: &impl Subject<D::Identity>) -> Result<bool> {
        if subject.standing() != Standing::Unmarked || self.has_been_opened(subject) {
            return Ok(true);
        }
        if subject.could_be_opened(self.proven) {
            let Change { dialect, job, current, .. } = *self.change;
            let is_the_account = |account: &D::Account| user(account) == subject.user();
            some_version_opens(dialect, job, self.admin, current, is_the_account).await?;
        }
        Ok(self.has_been_opened(subject)
            || (subject.shows_what_is_stored() && self.is_stored(subject).await?))
    }

    /// Whether what one of two users has may be given to the other: only if the account that AWSCURRENT names is the secret's own as
    /// well. In a normal rotation that account has just logged in. (After a reset no account has; then the deployment has spoken.)
    pub async fn may_share(&self, current: &impl Subject<D::Identity>) -> Result<bool> {
        Ok(self.proven.is_none() || self.is_ours(current).await?)
    }

    fn has_been_opened(&self, subject: &impl Subject<D::Identity>) -> bool {
        self.admin.accepted.borrow().iter().chain(self.proven).any(|proof| subject.is_opened_by(proof))
    }

    /// Whether the server stores the password of some version, which takes no login to see: a rotation that broke off between two
    /// accounts of one user has left its own password in the first.
    async fn is_stored(&self, subject: &impl Subject<D::Identity>) -> Result<bool> {
        let Change { dialect, job, current, pending, .. } = *self.change;
        let is_it = |parsed: &Parsed<D::Account>| {
            let account: &Account = parsed.account.borrow();
            account.username == subject.user() && subject.stores(&account.password)
        };
        if is_it(current) || is_it(pending) {
            return Ok(true);
        }
        for id in job.store.all_versions().await? {
            let read = job.store.version(&id).await;
            if parse::older(dialect, job, current, read)?.is_some_and(|parsed| is_it(&parsed)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Says what becomes of a pair of which only the account that gets a password is the secret's own; `kind` is what the server calls
/// accounts.
pub fn warn_of_password_alone(kind: &str, other: &str) {
    tracing::warn!(
        account = other,
        "AWSCURRENT does not log in, and nothing proves its {kind} to be this secret's: the other one of the two gets its password \
         and nothing else"
    );
}

/// The refusal of an account that nothing proves to be the secret's, with the statement that would mark it.
fn not_ours(account: &str, marking: &str) -> Error {
    let what = format!("nothing proves that the account {account:?} is this secret's");
    Error::new(Kind::NotOurs, what)
        .cause("it exists, no version of the secret for this server logs in as it, and no admin has marked it")
        .remedy(format!(
            "if it is meant to take turns in this secret, let an admin say so: {marking}; if it is not, name another \"alternate_username\""
        ))
}

fn user<A: Borrow<Account>>(account: &A) -> &str {
    &account.borrow().username
}

/// Tries the versions of the secret that are for the account that is to be changed, on the admin's server, until one logs in:
/// AWSPREVIOUS first (in a normal rotation it is this one), then all others, newest first. The current version is for the other
/// account; versions for other servers or accounts are never sent anywhere.
async fn some_version_opens<D: Dialect>(
    dialect: &D,
    job: &Job<'_>,
    admin: &Admin<D::Identity>,
    current: &Parsed<D::Account>,
    is_the_account: impl Fn(&D::Account) -> bool,
) -> Result<()> {
    let tried = vec![current.id.clone()];
    let mut search = Search { dialect, job, admin, current, tried, patience: None };
    if search.opens(job.store.labelled(Stage::Previous).await, &is_the_account).await? {
        return Ok(());
    }
    for id in job.store.all_versions().await? {
        if !search.tried.contains(&id) && search.opens(job.store.version(&id).await, &is_the_account).await? {
            break;
        }
    }
    Ok(())
}

struct Search<'a, D: Dialect> {
    dialect: &'a D,
    job: &'a Job<'a>,
    admin: &'a Admin<D::Identity>,
    current: &'a Parsed<D::Account>,
    tried: Vec<VersionId>,
    /// How many refusals the account can still bear, where that is known.
    patience: Option<u32>,
}

impl<D: Dialect> Search<'_, D> {
    async fn opens(
        &mut self,
        read: Result<Option<Version>>,
        is_the_account: &impl Fn(&D::Account) -> bool,
    ) -> Result<bool> {
        let (target, job, admin) = (self.dialect, self.job, Some(self.admin));
        let Some(parsed) = parse::older(target, job, self.current, read)? else { return Ok(false) };
        self.tried.push(parsed.id);
        if !is_the_account(&parsed.account) || self.patience == Some(0) {
            return Ok(false);
        }
        if let Login::Accepted(_) = target.login(job, &parsed.account, admin).await? {
            return Ok(true);
        }
        self.patience = match self.patience {
            None => target.patience(job, &parsed.account, admin).await,
            Some(left) => Some(left.saturating_sub(1)),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_whole_word_and_names_one_secret() {
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf";
        assert!(is_marked(&marked("", arn), arn) && !marked("", arn).contains('\n'));
        assert!(is_marked(&marked("owned by the web team", arn), arn));
        for other in [
            "",
            "turnlock:",
            &format!("{}x", mark(arn)),
            &mark(&arn[..arn.len() - 1]),
            &format!("x{}", mark(arn)),
        ] {
            assert!(!is_marked(other, arn), "{other}");
        }
    }
}
