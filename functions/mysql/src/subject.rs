//! An account as the guard sees it (docs/decisions/0003-guard.md): a user and a host part, and what the server keeps of it.

use rotation::database::guard::{self, Standing};
use rotation::secret::Secret;
use serde_json::json;

use crate::account::Name;
use crate::connect::Proof;
use crate::dialect::Writer;
use crate::profile::{MARK, Profile};
use crate::statement::{self, literal};
use crate::stored;

/// The account, and what has been found of it.
pub(crate) struct Subject<'a> {
    name: &'a Name,
    found: &'a Profile,
    secret_arn: String,
    is_mariadb: bool,
}

impl<'a> Subject<'a> {
    /// An account, for the secret that this writer acts for.
    pub(crate) fn new(writer: &Writer, name: &'a Name, found: &'a Profile) -> Subject<'a> {
        let is_mariadb = writer.server.is_mariadb();
        Subject { name, found, secret_arn: writer.secret_arn.clone(), is_mariadb }
    }
}

impl guard::Subject<Proof> for Subject<'_> {
    fn user(&self) -> &str {
        &self.name.user
    }

    fn standing(&self) -> Standing {
        if self.found.is_marked(&self.secret_arn, self.name) { Standing::Marked } else { Standing::Unmarked }
    }

    /// A login of the same user, at whatever host part, also shows an account that stores the same password.
    fn is_opened_by(&self, proof: &Proof) -> bool {
        proof.name == *self.name || (proof.name.user == self.name.user && self.stores(&proof.password))
    }

    fn name(&self) -> String {
        self.name.to_string()
    }

    /// On MariaDB the mark closes the account until the rotation.
    fn marking(&self) -> String {
        let mark = if self.is_mariadb {
            let placeholder = stored::placeholder(&self.secret_arn, self.name);
            format!("IDENTIFIED VIA {} USING {}", stored::NATIVE, literal(&placeholder))
        } else {
            format!("ATTRIBUTE {}", literal(&json!({ MARK: self.secret_arn }).to_string()))
        };
        statement::alter(self.name, &mark)
    }

    /// Versions for the user that has logged in could only open the same account again. Where no user has, all were tried.
    fn could_be_opened(&self, proven: Option<&Proof>) -> bool {
        proven.is_some_and(|proof| proof.name.user != self.name.user)
    }

    fn shows_what_is_stored(&self) -> bool {
        self.is_mariadb
    }

    fn stores(&self, password: &Secret) -> bool {
        self.found.stores(password)
    }
}
