//! What separates the privileges of two accounts. An engine says what a privilege is, and turns the difference into statements.

use std::collections::BTreeMap;

/// How an account holds a privilege.
pub trait Terms: Copy {
    /// Whether the account may grant the privilege to others.
    fn with_option(self) -> bool;
}

impl Terms for bool {
    fn with_option(self) -> bool {
        self
    }
}

/// What has to change until an account holds the privileges that it should hold, and no others.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference<P, T> {
    /// Privileges that the account lacks, or holds without the wanted grant option; on the wanted terms.
    pub missing: BTreeMap<P, T>,
    /// Privileges that the account should not hold at all.
    pub beyond: BTreeMap<P, T>,
    /// Privileges that the account should hold without the grant option that it has.
    pub options_beyond: BTreeMap<P, T>,
}

impl<P, T> Default for Difference<P, T> {
    fn default() -> Difference<P, T> {
        Difference { missing: BTreeMap::new(), beyond: BTreeMap::new(), options_beyond: BTreeMap::new() }
    }
}

impl<P: Ord + Clone, T: Terms> Difference<P, T> {
    /// Compares what an account should hold with what it holds.
    pub fn between(wanted: &BTreeMap<P, T>, held: &BTreeMap<P, T>) -> Difference<P, T> {
        let mut difference = Difference::default();
        for (privilege, terms) in wanted {
            if held.get(privilege).is_none_or(|held| terms.with_option() && !held.with_option()) {
                difference.missing.insert(privilege.clone(), *terms);
            }
        }
        for (privilege, terms) in held {
            match wanted.get(privilege) {
                None => difference.beyond.insert(privilege.clone(), *terms),
                Some(wanted) if terms.with_option() && !wanted.with_option() => {
                    difference.options_beyond.insert(privilege.clone(), *terms)
                }
                Some(_) => None,
            };
        }
        difference
    }

    /// The part that only adds privileges, and takes none.
    pub fn additions(self) -> Difference<P, T> {
        Difference { missing: self.missing, ..Difference::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_what_is_missing_and_what_is_beyond() {
        let wanted = BTreeMap::from([("a", false), ("b", true), ("c", false), ("e", true)]);
        let held = BTreeMap::from([("b", false), ("c", true), ("d", false), ("e", true)]);
        let difference = Difference::between(&wanted, &held);
        assert_eq!(difference.missing, BTreeMap::from([("a", false), ("b", true)]));
        assert_eq!(difference.beyond, BTreeMap::from([("d", false)]));
        assert_eq!(difference.options_beyond, BTreeMap::from([("c", true)]));
        let additions = difference.additions();
        assert_eq!(additions.missing.len(), 2);
        assert!(additions.beyond.is_empty() && additions.options_beyond.is_empty());
        assert_eq!(Difference::between(&wanted, &wanted), Difference::default());
    }
}
