//! How anything is reached: name look-ups, TCP, TLS, HTTP, and clients of AWS. Targets and databases use this wing; the engine does not.

pub mod aws;
pub mod http;
pub mod net;
pub mod tls;
