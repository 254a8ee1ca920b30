//! What a secret and a deployment say: documents, versions, strategies, settings, and how a password is made. This wing knows no call
//! and no server, so every wing above it may use it.

pub mod document;
pub mod encode;
pub mod password;
pub mod settings;
pub mod strategy;
pub mod version;
