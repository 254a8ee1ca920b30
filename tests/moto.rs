//! Functions rotate against moto as they do against the lab: three times in a row, each strategy and shape.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where, and stops")]

/// Every user's first password.
const FIRST: &str = "F1rst-pa55-under-moto";

mod moto {
    mod mysql;
    mod postgres;
    mod redshift;
}
