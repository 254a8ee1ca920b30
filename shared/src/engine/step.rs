//! The four steps, named as AWS names them. Each can run again, twice at once, or out of order.

pub mod create_secret;
pub mod finish_secret;
pub mod set_secret;
pub mod test_secret;
