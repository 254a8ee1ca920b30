//! Two users of one secret that take turns: their names, and what the secret allows to be done with them.

use super::family::fits;
use crate::error::{Error, Kind, Result};
use crate::value::document::{Fields, missing};

/// The ending of AWS's functions, which tells the two users apart.
const SUFFIX: &str = "_clone";

/// The pair.
pub struct Alternation {
    /// The account that is the truth: it is never changed but for its password.
    pub original: String,
    /// The account that is made equal to it.
    pub alternate: String,
    /// Whether the secret names the pair itself.
    pub named: bool,
    /// Whether the secret says who of a named pair is the original; the first rotation adds that.
    pub marked: bool,
    /// Whether an alternate that does not exist may be made.
    pub create: bool,
    /// How equal the alternate is made.
    pub sync: Equality,
    /// A role that both act as, so that what either makes has one owner.
    pub owner_role: Option<String>,
}

/// How equal the alternate is made to the original: "sync" in the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equality {
    /// What it lacks is given, and what it has beyond is taken away: `exact`, the default where we make the alternate.
    Exact,
    /// What it lacks is given: `grant`, the default for a pair that the secret names.
    Given,
    /// Nothing but the password is touched: `none`.
    Untouched,
}

impl Alternation {
    /// Reads the pair. Without `alternate_username` the names are as AWS's functions make them; with it, the secret also
    /// carries `original_username` from the first rotation on, so that any version shows which user is the original.
    pub fn read(fields: &Fields, username: &str, limit: usize) -> Result<Alternation> {
        let bad = |what: String| Error::new(Kind::BadSecret, what);
        let alternate = fields.text("alternate_username")?;
        let named = alternate.is_some();
        let marked = fields.text("original_username")?.is_some();
        let (original, alternate) = match alternate {
            None => {
                let original = username.strip_suffix(SUFFIX).unwrap_or(username);
                (original.to_owned(), format!("{original}{SUFFIX}"))
            }
            Some(alternate) => match fields.text("original_username")? {
                Some(original) => (original, alternate),
                None if alternate == username => return Err(missing("original_username")),
                None => (username.to_owned(), alternate),
            },
        };
        if original.is_empty() || original == alternate {
            return Err(bad(format!("the users that take turns are {original:?} and {alternate:?}")));
        }
        if username != original && username != alternate {
            return Err(bad(format!("the user {username:?} is neither {original:?} nor {alternate:?}")));
        }
        fits(&original, limit)?;
        fits(&alternate, limit).map_err(|error| {
            error.remedy("name the other user yourself: put a shorter \"alternate_username\" into the secret")
        })?;
        let sync = match fields.text("sync")?.as_deref() {
            Some("exact") => Equality::Exact,
            Some("grant") => Equality::Given,
            Some("none") => Equality::Untouched,
            None if named => Equality::Given,
            None => Equality::Exact,
            Some(_) => {
                return Err(bad("the secret's \"sync\" is none of exact, grant and none".into()));
            }
        };
        Ok(Alternation {
            original,
            alternate,
            named,
            marked,
            create: fields.flag("create_users")?.unwrap_or(true),
            sync,
            owner_role: fields.text("owner_role")?,
        })
    }

    /// The user whose turn follows this one's.
    pub fn after(&self, user: &str) -> &str {
        if user == self.original { &self.alternate } else { &self.original }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::document::Document;

    #[track_caller]
    fn check(secret: &str, username: &str, expected: Result<(&str, &str, Equality), &str>) {
        let Document::Object(fields) = Document::parse(secret) else { panic!("not an object") };
        let read = Alternation::read(&fields, username, 63);
        match (&read, expected) {
            (Ok(pair), Ok(names)) => {
                assert_eq!((&*pair.original, &*pair.alternate, pair.sync), names, "{secret}");
                assert_eq!(pair.after(&pair.original), pair.alternate);
                assert_eq!(pair.after(&pair.alternate), pair.original);
            }
            (Err(error), Err(part)) => assert!(error.report().contains(part), "{secret}: {}", error.report()),
            _ => panic!("{secret}: {:?}", read.map(|pair| pair.alternate)),
        }
    }

    #[test]
    fn names_are_as_awss_functions_make_them() {
        use Equality::Exact;
        check("{}", "app", Ok(("app", "app_clone", Exact)));
        check("{}", "app_clone", Ok(("app", "app_clone", Exact)));
        check("{}", "app_clone_clone", Ok(("app_clone", "app_clone_clone", Exact)));
        check("{}", "_clone", Err("\"\""));
        check("{}", &"x".repeat(57), Ok((&"x".repeat(57), &format!("{}_clone", "x".repeat(57)), Exact)));
        // The limit is in bytes: AWS's functions count characters, and the server then cuts the name.
        check("{}", &"ü".repeat(29), Err("64 bytes"));
    }

    #[test]
    fn a_named_pair_says_who_is_the_original() {
        use Equality::{Exact, Given, Untouched};
        check(r#"{"alternate_username": "b"}"#, "a", Ok(("a", "b", Given)));
        check(r#"{"alternate_username": "b", "original_username": "a"}"#, "b", Ok(("a", "b", Given)));
        check(r#"{"alternate_username": "b", "sync": "exact"}"#, "a", Ok(("a", "b", Exact)));
        check(r#"{"alternate_username": "b", "sync": "none"}"#, "a", Ok(("a", "b", Untouched)));
        check(r#"{"alternate_username": "b"}"#, "b", Err("original_username"));
        check(r#"{"alternate_username": "b", "original_username": "a"}"#, "c", Err("neither"));
        check(r#"{"alternate_username": "b", "original_username": "b"}"#, "b", Err("take turns"));
        check(r#"{"sync": "all"}"#, "a", Err("sync"));
    }
}
