//! What a check comes to.

use std::io;

use lab::secrets::Refusal;

/// What a check came to: its figure, or why it did not pass.
pub(super) type Judged = Result<String, Flaw>;

/// Why a check did not pass.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The function did what it may not.
    Fails(String),
    /// A rotation that should have gone through did not. That is a failure of the check only if the function rotates at all.
    Stuck(String),
    /// The check saw too little to tell.
    Unclear(String),
}

impl Flaw {
    /// Why.
    pub(super) fn why(self) -> String {
        match self {
            Flaw::Fails(why) | Flaw::Stuck(why) | Flaw::Unclear(why) => why,
        }
    }

    /// Says first when it happened.
    pub(super) fn when(self, when: &str) -> Flaw {
        match self {
            Flaw::Fails(why) => Flaw::Fails(format!("{when}: {why}")),
            Flaw::Stuck(why) => Flaw::Stuck(format!("{when}: {why}")),
            Flaw::Unclear(why) => Flaw::Unclear(format!("{when}: {why}")),
        }
    }
}

impl From<String> for Flaw {
    fn from(why: String) -> Flaw {
        Flaw::Fails(why)
    }
}

impl From<&str> for Flaw {
    fn from(why: &str) -> Flaw {
        Flaw::Fails(why.to_owned())
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Flaw {
        Flaw::Unclear(error.to_string())
    }
}

impl From<Refusal> for Flaw {
    fn from(refusal: Refusal) -> Flaw {
        Flaw::Unclear(refusal.to_string())
    }
}
