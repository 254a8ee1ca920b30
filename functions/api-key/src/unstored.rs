//! What services that cannot issue twice have issued, and nobody has stored yet: a retry that reaches this same process stores
//! it instead of losing it.

use std::cell::RefCell;
use std::collections::VecDeque;

use rotation::secret::Secret;

/// The fields of a secret that a new key brings along.
pub(crate) type NewFields = Vec<(String, Secret)>;

/// More secrets of one function than this are hardly in such trouble at once; beyond it the oldest is given up.
const MOST: usize = 16;

/// By the name that the key has at the service: it is made of the secret and the token. A token alone is its caller's choice,
/// and two secrets can have the same.
#[derive(Default)]
pub(crate) struct Unstored(RefCell<VecDeque<(String, NewFields)>>);

impl Unstored {
    /// Keeps what was issued.
    pub(crate) fn keep(&self, label: String, new: &NewFields) {
        self.forget(&label);
        let mut kept = self.0.borrow_mut();
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back((label, shared(new)));
    }

    /// What was issued under this name.
    pub(crate) fn find(&self, label: &str) -> Option<NewFields> {
        self.0.borrow().iter().find(|(known, _)| known == label).map(|(_, new)| shared(new))
    }

    /// Lets go of what is stored by now.
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
