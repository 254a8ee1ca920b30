//! An admin's turn, in every host part: all accounts are looked at before the first is changed.

use rotation::database::alternation::Equality;
use rotation::database::guard;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::version::Parsed;

use crate::account::{Account, Name};
use crate::acting::{self, Admin};
use crate::alternate::{self, Plan};
use crate::assign;
use crate::connect::Session;
use crate::profile::Profile;

/// What is to become of one account.
enum Deed {
    /// It gets its password.
    Assign(Profile),
    /// It is made, if need be, and made equal to this one, and gets its password then.
    Equalize(Name, Option<Profile>),
}

/// Makes the server accept pending. The versions are current and pending.
pub(crate) async fn apply(
    job: &Job<'_>,
    writer: &mut Session,
    admin: &Admin,
    versions: [&Parsed<Account>; 2],
    names: &[Name],
) -> Result<()> {
    acting::tell_of_others(job, writer, names).await?;
    let mut deeds = Vec::new();
    for name in names {
        deeds.push((name, deed(job, writer, admin, versions, name).await?));
    }
    let [current, pending] = versions.map(|parsed| &parsed.account);
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

async fn deed(
    job: &Job<'_>,
    writer: &mut Session,
    admin: &Admin,
    versions: [&Parsed<Account>; 2],
    name: &Name,
) -> Result<Deed> {
    let found = Profile::read(job, writer, name).await?;
    if let Some(found) = &found {
        acting::guard(job, writer, admin, versions, name, found).await?;
    }
    let pair = versions[0].account.alternation.as_ref().filter(|pair| pair.alternate == name.user);
    let is_left_alone = |found: &Profile| {
        let is_ready = !found.is_unfinished(&writer.secret_arn, name);
        pair.is_none_or(|pair| pair.sync == Equality::Untouched && is_ready)
    };
    match (pair, found) {
        (_, Some(found)) if is_left_alone(&found) => Ok(Deed::Assign(found)),
        (Some(pair), found) => {
            let original = Name::new(&pair.original, &name.host);
            copying(job, writer, admin, versions, name, original, found).await
        }
        (None, _) => Profile::of(job, writer, name).await.map(Deed::Assign),
    }
}

/// What one account has is given to another only if both are the secret's own. In a normal rotation the original is the one that
/// AWSCURRENT names and has just logged in. (After a reset nothing has; then the deployment has spoken.)
async fn copying(
    job: &Job<'_>,
    writer: &mut Session,
    admin: &Admin,
    versions: [&Parsed<Account>; 2],
    name: &Name,
    original: Name,
    found: Option<Profile>,
) -> Result<Deed> {
    let source = Profile::of(job, writer, &original).await?;
    if writer.proven.is_none() || acting::is_ours(job, writer, admin, versions, &original, &source).await? {
        return Ok(Deed::Equalize(original, found));
    }
    let has_logged_in = writer.proven.as_ref().is_some_and(|proof| proof.name.user == name.user);
    // One that is half made stays closed: what logs in is complete.
    let is_ready = |found: &Profile| has_logged_in && !found.is_unfinished(&writer.secret_arn, name);
    if let Some(found) = found.filter(is_ready) {
        guard::password_alone("account", &original.to_string());
        return Ok(Deed::Assign(found));
    }
    let what = format!(
        "nothing proves that the account {original} is this secret's, and {name} would get what it has"
    );
    let way = if writer.server.is_mariadb() {
        "give it the password that AWSCURRENT holds".to_owned()
    } else {
        format!("let an admin say so: {}", acting::marking(writer, &original))
    };
    Err(Error::new(Kind::NotOurs, what)
        .remedy(format!("if it is meant, {way}; if it is not, take its host part out of \"hosts\"")))
}
