//! Versions of the secret become accounts: each value that is read passes through here once, and from then on what is secret in
//! it is masked.

use crate::engine::credential::Credential;
use crate::engine::job::Job;
use crate::engine::target::Target;
use crate::error::{Error, Kind, Result};
use crate::value::version::{Parsed, Stage, Version};

/// Parses a version.
pub fn version<T: Target>(target: &T, job: &Job<'_>, version: Version) -> Result<Parsed<T::Account>> {
    for secret in target.secrets(&version.document) {
        job.scrub.learn(&secret);
    }
    let account = target.read(&version.document, job.settings)?;
    crate::door::log::note("strategy", account.strategy().name());
    Ok(Parsed { id: version.id, account, document: version.document })
}

/// Parses the version that a read of AWSCURRENT brought.
pub fn current<T: Target>(
    target: &T,
    job: &Job<'_>,
    read: Result<Option<Version>>,
) -> Result<Parsed<T::Account>> {
    let found = read?.ok_or_else(|| {
        let what = format!("no version is labelled {}", Stage::Current.name());
        Error::new(Kind::NotRotatable, what).remedy("store the credential in use with PutSecretValue first")
    })?;
    version(target, job, found)
}

/// Parses the version that a read of the token's version brought. Where the read brought nothing, the value may only be late.
pub async fn pending<T: Target>(
    target: &T,
    job: &Job<'_>,
    read: Result<Option<Version>>,
) -> Result<Parsed<T::Account>> {
    let found = match read? {
        Some(found) => found,
        None => job.store.settled(&job.token).await?,
    };
    version(target, job, found)
}

/// Parses a version that is neither current nor pending. A version that is gone, empty, unreadable, or for another account or
/// server is passed over: a fault in an old version must not stop the rotation.
pub fn older<T: Target>(
    target: &T,
    job: &Job<'_>,
    current: &Parsed<T::Account>,
    read: Result<Option<Version>>,
) -> Result<Option<Parsed<T::Account>>> {
    let parsed = match read {
        Ok(None) => return Ok(None),
        Ok(Some(found)) => agreeing(target, job, current, found),
        // Binary, or encrypted with a key that is out of reach by now.
        Err(error) if matches!(error.kind(), Kind::BadSecret | Kind::AccessDenied) => Err(error),
        Err(error) => return Err(error),
    };
    Ok(parsed
        .inspect_err(|error| tracing::info!(reason = error.report(), "an older version was passed over"))
        .ok())
}

fn agreeing<T: Target>(
    target: &T,
    job: &Job<'_>,
    current: &Parsed<T::Account>,
    found: Version,
) -> Result<Parsed<T::Account>> {
    let id = found.id.clone();
    let agreed = version(target, job, found).and_then(|mut parsed| {
        current.account.agree(&parsed.account)?;
        parsed.account.align_with(&current.account);
        Ok(parsed)
    });
    agreed.map_err(|error| error.cause(format!("in version {id}")))
}
