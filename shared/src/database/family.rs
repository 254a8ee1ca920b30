//! What the servers of one kind have in common, whatever the account.

use crate::error::{Error, Kind, Result};
use crate::value::password::Rules;
use crate::value::strategy::Strategy;

/// What one kind of database fixes for all its accounts.
pub struct Family {
    /// The values of "engine" that this target rotates.
    pub names: &'static [&'static str],
    /// The port where the secret names none.
    pub port: u16,
    /// The database where the secret names none. `None` where a session needs no database: then the admin's is in none.
    pub database: Option<&'static str>,
    /// The strategies, the default first.
    pub strategies: &'static [Strategy],
    /// The longest user name, in bytes; the server cuts or refuses longer ones.
    pub username_limit: usize,
    /// What passwords the server takes.
    pub rules: Rules,
}

/// Refuses a user name that a server would cut or refuse.
pub(super) fn fits(username: &str, limit: usize) -> Result<()> {
    if username.contains('\0') {
        return Err(Error::new(Kind::BadSecret, "the secret's \"username\" has a NUL character"));
    }
    if username.len() > limit {
        let what = format!(
            "the user name {username:?} is {} bytes long, and the server's limit is {limit}",
            username.len()
        );
        return Err(Error::new(Kind::BadSecret, what));
    }
    Ok(())
}
