//! The strategies, and which one a secret gets.

use crate::error::{Error, Kind, Result};
use crate::value::document::Fields;

/// Which session changes which account (docs/strategies.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The user sets its own password.
    SingleUser,
    /// The admin sets the user's password.
    Admin,
    /// The admin sets the password of the *other* of two users.
    AlternatingUsers,
    /// One user with two valid passwords.
    DualPassword,
    /// A new key is issued before the old one is revoked.
    TwoKeys,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 5] = [
        Strategy::SingleUser,
        Strategy::Admin,
        Strategy::AlternatingUsers,
        Strategy::DualPassword,
        Strategy::TwoKeys,
    ];

    /// Their names, for people.
    pub fn names(strategies: &[Strategy]) -> String {
        strategies.iter().map(|strategy| strategy.name()).collect::<Vec<_>>().join(", ")
    }

    /// The strategy's name in secrets, settings and logs.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::SingleUser => "single-user",
            Strategy::Admin => "admin",
            Strategy::AlternatingUsers => "alternating-users",
            Strategy::DualPassword => "dual-password",
            Strategy::TwoKeys => "two-keys",
        }
    }

    /// The strategy of a name.
    pub fn parse(name: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether the old credential goes on working until the new one is promoted.
    pub fn overlaps(self) -> bool {
        match self {
            Strategy::SingleUser | Strategy::Admin => false,
            Strategy::AlternatingUsers | Strategy::DualPassword | Strategy::TwoKeys => true,
        }
    }

    /// The secret's own choice, else the deployment's, else what AWS's functions would do: two users where there is an
    /// admin, and otherwise the first that the target offers.
    pub fn choose(fields: &Fields, deployment: Option<Strategy>, offered: &[Strategy]) -> Result<Strategy> {
        let own = fields.text("strategy")?;
        let alternates = offered.contains(&Strategy::AlternatingUsers);
        let strategy = match (own, deployment) {
            (Some(name), _) => Strategy::parse(&name).ok_or_else(|| refused(&name, offered))?,
            (None, Some(strategy)) => strategy,
            (None, None) if alternates && fields.text("masterarn")?.is_some() => Strategy::AlternatingUsers,
            (None, None) => offered[0],
        };
        if offered.contains(&strategy) { Ok(strategy) } else { Err(refused(strategy.name(), offered)) }
    }
}

fn refused(name: &str, offered: &[Strategy]) -> Error {
    Error::new(Kind::BadSecret, format!("this function has no strategy \"{name}\"")).remedy(format!(
        "set \"strategy\" in the secret or ROTATION_STRATEGY to one of {}",
        Strategy::names(offered)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::document::Document;

    #[track_caller]
    fn check(secret: &str, deployment: Option<&str>, expected: Result<Strategy, ()>) {
        let Document::Object(fields) = Document::parse(secret) else { panic!("not an object") };
        let preset = deployment.map(|name| Strategy::parse(name).unwrap());
        let offered = [Strategy::SingleUser, Strategy::Admin, Strategy::AlternatingUsers];
        assert_eq!(
            Strategy::choose(&fields, preset, &offered).map_err(|_| ()),
            expected,
            "{secret} {deployment:?}"
        );
    }

    #[test]
    fn the_secret_wins_then_the_deployment_then_masterarn() {
        check("{}", None, Ok(Strategy::SingleUser));
        check(r#"{"masterarn": "arn"}"#, None, Ok(Strategy::AlternatingUsers));
        check(r#"{"masterarn": "arn"}"#, Some("admin"), Ok(Strategy::Admin));
        check(r#"{"masterarn": "arn", "strategy": "single-user"}"#, Some("admin"), Ok(Strategy::SingleUser));
    }

    #[test]
    fn what_the_target_does_not_offer_is_refused() {
        check(r#"{"strategy": "dual-password"}"#, None, Err(()));
        check(r#"{"strategy": "multi"}"#, None, Err(()));
        check("{}", Some("two-keys"), Err(()));
    }
}
