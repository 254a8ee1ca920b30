//! Keys that a service has issued and nobody has stored yet, at services that cannot issue a key twice. A retry in this same
//! process stores the key instead of losing it.

use std::cell::RefCell;
use std::collections::VecDeque;

use rotation::secret::Secret;

/// The fields of a secret that come with a new key.
pub(crate) type NewFields = Vec<(String, Secret)>;

/// One function hardly has more unstored secrets at a time. Beyond this number it drops the oldest.
const MOST: usize = 16;

/// The new fields, by the name that the key has at the service. That name is made from the secret and the token: callers choose
/// tokens, so two secrets can have the same one.
#[derive(Default)]
pub(crate) struct Unstored(RefCell<VecDeque<(String, NewFields)>>);

impl Unstored {
    /// Keeps the fields of an issued key.
    pub(crate) fn keep(&self, label: String, new: &NewFields) {
        self.forget(&label);
        let mut kept = self.0.borrow_mut();
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back((label, shared(new)));
    }

    /// The fields that were issued under this name.
    pub(crate) fn find(&self, label: &str) -> Option<NewFields> {
        self.0.borrow().iter().find(|(known, _)| known == label).map(|(_, new)| shared(new))
    }

    /// Drops the fields under this name, once they are stored.
    pub(crate) fn forget(&self, label: &str) {
        self.0.borrow_mut().retain(|(known, _)| known != label);
    }
}

fn shared(new: &NewFields) -> NewFields {
    new.iter().map(|(name, value)| (name.clone(), value.share())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> NewFields {
        vec![("key".to_owned(), Secret::new(text.to_owned()))]
    }

    #[test]
    fn the_newest_few_are_kept_until_they_are_stored() {
        let unstored = Unstored::default();
        for number in 0..=MOST {
            unstored.keep(format!("label {number}"), &fields(&format!("key {number}")));
        }
        assert!(unstored.find("label 0").is_none(), "the oldest makes room");
        let last = unstored.find(&format!("label {MOST}")).unwrap();
        assert!(last[0].1.same_as(&fields(&format!("key {MOST}"))[0].1));
        unstored.keep("label 1".to_owned(), &fields("newer"));
        assert!(unstored.find("label 2").is_some(), "what is kept already takes no second place");
        assert!(unstored.find("label 1").unwrap()[0].1.same_as(&fields("newer")[0].1));
        unstored.forget("label 1");
        assert!(unstored.find("label 1").is_none());
    }
}
