//! The common parts of operations: their context, the search for a request's secret, and pages.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::secrets::caller::Caller;
use crate::secrets::input::Input;
use crate::secrets::moment::Moment;
use crate::secrets::name::SecretId;
use crate::secrets::policy;
use crate::secrets::refusal::Refusal;
use crate::secrets::secret::Secret;
use crate::secrets::state::{Found, Key, State};

/// A rotation that was begun and has to be driven.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) key: Key,
    pub(crate) token: String,
}

/// Everything that an operation uses.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: Moment,
    pub(crate) caller: &'a Caller,
    /// How far GetSecretValue and BatchGetSecretValue lag behind the writes.
    pub(crate) value_lag: Duration,
    /// How far DescribeSecret and the lists lag behind the writes.
    pub(crate) metadata_lag: Duration,
    /// Whether the rotation function with this ARN can be invoked.
    pub(crate) invokable: &'a dyn Fn(&str) -> bool,
    /// The rotation that the operation began, to be driven once its effect is durable.
    pub(crate) begun: Option<Begun>,
}

pub(crate) type Answer = Result<Value, Refusal>;

impl Context<'_> {
    /// The secret that an id names to the caller.
    pub(crate) fn named(&self, id: &SecretId) -> Result<Found, Refusal> {
        self.state.find(&self.caller.account, &self.caller.region, id, self.now)
    }

    /// The secret that a request names, in any condition.
    pub(crate) fn find(&self, input: &Input, action: &str) -> Result<Found, Refusal> {
        let found = self.named(&input.secret_id()?)?;
        let secret = self.state.secret(&found.key)?;
        policy::authorize(secret, &found.region, &self.caller.account, action, input)?;
        Ok(found)
    }

    /// The secret that a request names, unless it is scheduled for deletion.
    pub(crate) fn find_live(&self, input: &Input, action: &str) -> Result<Found, Refusal> {
        let found = self.find(input, action)?;
        if self.state.secret(&found.key)?.deletion.is_some() {
            return Err(Refusal::deleted());
        }
        Ok(found)
    }

    /// The secret that a request may change: it must be live and no replica.
    pub(crate) fn find_primary(&self, input: &Input, action: &str) -> Result<Found, Refusal> {
        let found = self.find_live(input, action)?;
        if found.is_replica() {
            return Err(Refusal::replica());
        }
        Ok(found)
    }

    /// A secret to change. Any change moves its LastChangedDate ("modified in any way").
    pub(crate) fn modify(&mut self, key: &Key) -> Result<&mut Secret, Refusal> {
        let now = self.now;
        let secret = self.state.secret_mut(key)?;
        secret.changed = now;
        Ok(secret)
    }

    pub(crate) fn secret(&self, found: &Found) -> Result<&Arc<Secret>, Refusal> {
        self.state.secret(&found.key)
    }
}

/// A page of `all`: the items from the token on, and the token of the next page.
///
/// A token is the position in hexadecimal after a mark, so that a made-up token is refused.
pub(crate) fn page<T>(all: Vec<T>, input: &Input, most: i64) -> Result<(Vec<T>, Option<String>), Refusal> {
    const MARK: &str = "page-";
    let size = input.number_in("MaxResults", 1, most)?.unwrap_or(most);
    let size = usize::try_from(size).expect("MaxResults is within 1..=100");
    let from = match input.text("NextToken", 1, 4096)? {
        None => 0,
        Some(token) => token
            .strip_prefix(MARK)
            .and_then(|position| usize::from_str_radix(position, 16).ok())
            .filter(|from| *from <= all.len())
            .ok_or_else(|| Refusal::new("InvalidNextTokenException", "Invalid NextToken."))?,
    };
    let next = (from + size < all.len()).then(|| format!("{MARK}{:x}", from + size));
    Ok((all.into_iter().skip(from).take(size).collect(), next))
}
