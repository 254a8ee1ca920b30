//! An admin changes a user's accounts, one for each host part. It checks all of them before it changes the first.

use rotation::database::alternation::{Alternation, Equality};
use rotation::database::dialect::Change;
use rotation::database::guard::{self, Guard, Subject as _};
use rotation::error::{Error, Kind, Result};

use crate::account::Name;
use crate::acting;
use crate::alternate::{self, Plan};
use crate::assign;
use crate::dialect::{Admin, Mysql, Writer};
use crate::profile::Profile;
use crate::subject::Subject;

/// The change to one account.
enum Action<'a> {
    /// Sets its password. The profile is the account's.
    SetPassword(Profile),
    /// Makes the account equal to its original, then sets its password.
    MakeEqual(Plan<'a>),
}

pub(crate) async fn apply(
    change: &Change<'_, Mysql>,
    writer: &mut Writer,
    admin: &Admin,
    names: &[Name],
) -> Result<()> {
    let Change { job, pending, .. } = *change;
    acting::log_other_hosts(job, writer, names).await?;
    let mut actions = Vec::new();
    for name in names {
        actions.push((name, decide(change, writer, admin, name).await?));
    }
    let plans = actions.iter().filter_map(|(_, action)| match action {
        Action::MakeEqual(plan) => Some(plan),
        Action::SetPassword(_) => None,
    });
    let plans = Vec::from_iter(plans);
    alternate::prepare(job, writer, &plans).await?;
    for (name, action) in &actions {
        match action {
            Action::MakeEqual(plan) => alternate::open(job, writer, plan).await?,
            Action::SetPassword(found) => {
                assign::set_password(job, writer, name, found, &pending.account.password).await?;
            }
        }
    }
    Ok(())
}

/// Chooses the action, and refuses an account that is not the secret's.
async fn decide<'a>(
    change: &'a Change<'_, Mysql>,
    writer: &mut Writer,
    admin: &Admin,
    name: &'a Name,
) -> Result<Action<'a>> {
    let job = change.job;
    let found = Profile::read(job, writer, name).await?;
    if let Some(found) = &found {
        Guard::new(change, admin, writer).demand(&Subject::new(writer, name, found)).await?;
    }
    let pair = change.current.account.alternation.as_ref().filter(|pair| pair.alternate == name.user);
    let is_left_alone = |found: &Profile| {
        let is_ready = !found.is_unfinished(&writer.secret_arn, name);
        pair.is_none_or(|pair| pair.sync == Equality::Untouched && is_ready)
    };
    match (pair, found) {
        (_, Some(found)) if is_left_alone(&found) => Ok(Action::SetPassword(found)),
        (Some(pair), found) => decide_to_copy(change, writer, admin, name, pair, found).await,
        (None, _) => Profile::of(job, writer, name).await.map(Action::SetPassword),
    }
}

/// Copies from an original only if both accounts are the secret's own. In a normal rotation AWSCURRENT names the original, and its
/// password has just been accepted. After a reset no password was accepted; then `ADMIN_RESET` allows the copy.
async fn decide_to_copy<'a>(
    change: &'a Change<'_, Mysql>,
    writer: &mut Writer,
    admin: &Admin,
    name: &'a Name,
    pair: &'a Alternation,
    found: Option<Profile>,
) -> Result<Action<'a>> {
    let original = Name::new(&pair.original, &name.host);
    let truth = Profile::of(change.job, writer, &original).await?;
    let subject = Subject::new(writer, &original, &truth);
    if Guard::new(change, admin, writer).may_share(&subject).await? {
        drop(subject);
        let password = &change.pending.account.password;
        return Ok(Action::MakeEqual(Plan { original, truth, alternate: name, pair, found, password }));
    }
    let has_logged_in = writer.proven.as_ref().is_some_and(|proof| proof.name.user == name.user);
    // An unfinished account stays closed, because every account that can log in has to be complete.
    let is_ready = |found: &Profile| has_logged_in && !found.is_unfinished(&writer.secret_arn, name);
    if let Some(found) = found.filter(is_ready) {
        guard::warn_of_password_alone("account", &original.to_string());
        return Ok(Action::SetPassword(found));
    }
    let what = format!(
        "nothing proves that the account {original} is this secret's, and {name} would get what it has"
    );
    let way = if writer.server.is_mariadb() {
        "give it the password that AWSCURRENT holds".to_owned()
    } else {
        format!("let an admin say so: {}", subject.marking())
    };
    Err(Error::new(Kind::NotOurs, what)
        .remedy(format!("if it is meant, {way}; if it is not, take its host part out of \"hosts\"")))
}
