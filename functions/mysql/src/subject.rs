//! An account as the guard sees it (docs/decisions/0003-guard.md): a user and a host part, and the account's profile.

use rotation::database::guard::{self, Standing};
use rotation::secret::Secret;
use serde_json::json;

use crate::account::Name;
use crate::connect::OpenedAccount;
use crate::dialect::Writer;
use crate::profile::{MARK, Profile};
use crate::statement::{self, literal};
use crate::stored;

/// An account, its profile, and the secret.
pub(crate) struct Subject<'a> {
    name: &'a Name,
    found: &'a Profile,
    secret_arn: String,
    is_mariadb: bool,
}

impl<'a> Subject<'a> {
    /// An account, seen from the secret that this writer acts for.
    pub(crate) fn new(writer: &Writer, name: &'a Name, found: &'a Profile) -> Subject<'a> {
        let is_mariadb = writer.server.is_mariadb();
        Subject { name, found, secret_arn: writer.secret_arn.clone(), is_mariadb }
    }
}

impl guard::Subject<OpenedAccount> for Subject<'_> {
    fn user(&self) -> &str {
        &self.name.user
    }

    fn standing(&self) -> Standing {
        if self.found.is_marked(&self.secret_arn, self.name) { Standing::Marked } else { Standing::Unmarked }
    }

    /// A login of the same user, with any host part, also proves an account that stores the same password.
    fn is_opened_by(&self, proof: &OpenedAccount) -> bool {
        proof.name == *self.name || (proof.name.user == self.name.user && self.stores(&proof.password))
    }

    fn name(&self) -> String {
        self.name.to_string()
    }

    /// On MariaDB nobody can log in to a marked account until the rotation.
    fn marking(&self) -> String {
        let mark = if self.is_mariadb {
            let placeholder = stored::placeholder(&self.secret_arn, self.name);
            format!("IDENTIFIED VIA {} USING {}", stored::NATIVE, literal(&placeholder))
        } else {
            format!("ATTRIBUTE {}", literal(&json!({ MARK: self.secret_arn }).to_string()))
        };
        statement::alter(self.name, &mark)
    }

    /// If a user has logged in, more versions for that user would only open the same account again. If none has, all versions
    /// were tried.
    fn could_be_opened(&self, proven: Option<&OpenedAccount>) -> bool {
        proven.is_some_and(|proof| proof.name.user != self.name.user)
    }

    fn shows_what_is_stored(&self) -> bool {
        self.is_mariadb
    }

    fn stores(&self, password: &Secret) -> bool {
        self.found.stores(password)
    }
}
