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
    /// The test could not tell.
    Unclear(String),
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
