//! An admin's turn, in every host part: all accounts are looked at before the first is changed.

use rotation::database::alternation::Equality;
use rotation::database::dialect::Change;
use rotation::database::guard::{self, Guard, Subject as _};
use rotation::error::{Error, Kind, Result};

use crate::account::Name;
use crate::acting;
use crate::alternate::{self, Plan};
use crate::assign;
use crate::profile::Profile;
use crate::subject::Subject;
use crate::{Admin, Mysql, Writer};

/// What is to become of one account.
enum Deed {
    /// It gets its password.
    Assign(Profile),
    /// It is made, if need be, and made equal to this one, and gets its password then.
    Equalize(Name, Option<Profile>),
}

/// Makes the server accept pending.
pub(crate) async fn apply(
    change: &Change<'_, Mysql>,
    writer: &mut Writer,
    admin: &Admin,
    names: &[Name],
) -> Result<()> {
    let Change { job, current, pending, .. } = *change;
    acting::tell_of_others(job, writer, names).await?;
    let mut deeds = Vec::new();
    for name in names {
        deeds.push((name, deed(change, writer, admin, name).await?));
    }
    let (current, pending) = (&current.account, &pending.account);
    for (name, deed) in &deeds {
        match (deed, &current.alternation) {
            (Deed::Equalize(original, found), Some(pair)) => {
                let (found, password) = (found.as_ref(), &pending.password);
                let plan = Plan { original, alternate: name, pair, found, password };
                alternate::apply(job, writer, &plan).await?;
            }
            (Deed::Equalize(..), None) => {
                return Err(Error::new(Kind::Bug, "there is no pair of users to make equal"));
            }
            (Deed::Assign(found), _) => {
                assign::set_password(job, writer, name, found, &pending.password).await?;
            }
        }
    }
    Ok(())
}

async fn deed(change: &Change<'_, Mysql>, writer: &mut Writer, admin: &Admin, name: &Name) -> Result<Deed> {
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
        (_, Some(found)) if is_left_alone(&found) => Ok(Deed::Assign(found)),
        (Some(pair), found) => {
            let original = Name::new(&pair.original, &name.host);
            copying(change, writer, admin, name, original, found).await
        }
        (None, _) => Profile::of(job, writer, name).await.map(Deed::Assign),
    }
}

/// What one account has is given to another only if both are the secret's own. In a normal rotation the original is the one that
/// AWSCURRENT names and has just logged in. (After a reset nothing has; then the deployment has spoken.)
async fn copying(
    change: &Change<'_, Mysql>,
    writer: &mut Writer,
    admin: &Admin,
    name: &Name,
    original: Name,
    found: Option<Profile>,
) -> Result<Deed> {
    let source = Profile::of(change.job, writer, &original).await?;
    let subject = Subject::new(writer, &original, &source);
    if Guard::new(change, admin, writer).may_share(&subject).await? {
        drop(subject);
        return Ok(Deed::Equalize(original, found));
    }
    let has_logged_in = writer.proven.as_ref().is_some_and(|proof| proof.name.user == name.user);
    // One that is half made stays closed: what logs in is complete.
    let is_ready = |found: &Profile| has_logged_in && !found.is_unfinished(&writer.secret_arn, name);
    if let Some(found) = found.filter(is_ready) {
        guard::warn_of_password_alone("account", &original.to_string());
        return Ok(Deed::Assign(found));
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
