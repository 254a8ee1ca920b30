//! Guard, third part: the account that is about to be changed is the secret's own. The first part, a login with the secret's
//! own credential on the admin's server, is the ladder's; the second is in `host`. docs/decisions/0003-guard.md has the reasons.

use super::account::Account;
use crate::error::{Error, Kind, Result};
use crate::job::Job;
use crate::parse;
use crate::target::{Login, Target};
use crate::version::{Parsed, Stage, Version, VersionId};

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

/// Whether an account is the secret's own: it does not exist yet, an admin has marked it, it is the one that has logged in
/// (`proven`), or some other version of the secret logs in as it.
///
/// Asked of the account that gets a password, and of the other one of its pair before anything is copied or handed over between
/// the two: a secret that proves one account only must not get what another has.
pub async fn is_ours<T: Target<Account = Account>>(
    target: &T,
    job: &Job<'_>,
    admin: &T::Admin,
    current: &Parsed<Account>,
    proven: Option<&str>,
    (name, standing): (&str, Standing),
) -> Result<bool> {
    if standing != Standing::Unmarked || proven == Some(name) {
        return Ok(true);
    }
    some_version_opens(target, job, admin, current, |account| account.username == name).await
}

/// Whether what one of two users has may be given to the other: only if the account that AWSCURRENT names is the secret's own as
/// well. In a normal rotation that one has just logged in. (After a reset nothing has; then the deployment has spoken.)
pub async fn belong_together<T: Target<Account = Account>>(
    target: &T,
    job: &Job<'_>,
    admin: &T::Admin,
    current: &Parsed<Account>,
    proven: Option<&str>,
    (kind, standing): (&str, Standing),
) -> Result<bool> {
    let name = current.account.username.as_str();
    let together = proven.is_none() || is_ours(target, job, admin, current, proven, (name, standing)).await?;
    if !together {
        password_alone(kind, name);
    }
    Ok(together)
}

/// Says what becomes of a pair of which only the one that gets a password is the secret's own; `kind` is what the server calls them.
pub fn password_alone(kind: &str, other: &str) {
    tracing::warn!(
        account = other,
        "AWSCURRENT does not log in, and nothing proves its {kind} to be this secret's: the other one of the two gets its password \
         and nothing else"
    );
}

/// Whether the admin may set this account's password without any proof, because the deployment says so. Of two users whose
/// passwords are lost the second is reset by the next rotation, in which the first logs in.
pub fn may_reset(job: &Job<'_>, account: &str) -> bool {
    if job.settings.admin_reset {
        tracing::warn!(account, "ADMIN_RESET lets the admin set this account's password without any proof");
    }
    job.settings.admin_reset
}

/// The refusal of an account that nothing proves to be the secret's, with the statement that would mark it.
pub fn not_ours(account: &str, marking: &str) -> Error {
    let what = format!("nothing proves that the account {account:?} is this secret's");
    Error::new(Kind::NotOurs, what)
        .cause("it exists, no version of the secret for this server logs in as it, and no admin has marked it")
        .remedy(format!(
            "if it is meant to take turns in this secret, let an admin say so: {marking}; if it is not, name another \"alternate_username\""
        ))
}

/// Whether some version of the secret logs in as the account that is to be changed, on the admin's server: AWSPREVIOUS first
/// (in a normal rotation it is this one), then all others, newest first. The current version is for the other account;
/// versions for other servers or accounts are never sent anywhere.
pub async fn some_version_opens<T: Target>(
    target: &T,
    job: &Job<'_>,
    admin: &T::Admin,
    current: &Parsed<T::Account>,
    is_the_account: impl Fn(&T::Account) -> bool,
) -> Result<bool> {
    let mut search = Search { target, job, admin, current, tried: vec![current.id.clone()], patience: None };
    if search.opens(job.store.labelled(Stage::Previous).await, &is_the_account).await? {
        return Ok(true);
    }
    for id in job.store.all_versions().await? {
        if !search.tried.contains(&id) && search.opens(job.store.version(&id).await, &is_the_account).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Search<'a, T: Target> {
    target: &'a T,
    job: &'a Job<'a>,
    admin: &'a T::Admin,
    current: &'a Parsed<T::Account>,
    tried: Vec<VersionId>,
    /// How many refusals the account can still bear, where that is known.
    patience: Option<u32>,
}

impl<T: Target> Search<'_, T> {
    async fn opens(
        &mut self,
        read: Result<Option<Version>>,
        is_the_account: &impl Fn(&T::Account) -> bool,
    ) -> Result<bool> {
        let Some(parsed) = parse::older(self.target, self.job, self.current, read)? else { return Ok(false) };
        self.tried.push(parsed.id);
        if !is_the_account(&parsed.account) || self.patience == Some(0) {
            return Ok(false);
        }
        if let Login::Accepted(_) = self.target.login(self.job, &parsed.account, Some(self.admin)).await? {
            return Ok(true);
        }
        self.patience = match self.patience {
            None => self.target.patience(self.job, &parsed.account, Some(self.admin)).await,
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
