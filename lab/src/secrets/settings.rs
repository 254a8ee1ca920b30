//! A secret's rotation settings, and its running rotation.

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::rules::{Rules, Window};

/// A secret's rotation settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    pub(crate) function: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) last: Option<Moment>,
    pub(crate) next: Option<Window>,
    /// Days between the latest windows of a schedule expression, known after the first rotation.
    pub(crate) interval_days: Option<u64>,
    pub(crate) under_way: Option<UnderWay>,
}

/// A rotation that has begun and not succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnderWay {
    pub(crate) token: String,
    pub(crate) rotation_token: String,
    /// False for a test of the configuration.
    pub(crate) immediately: bool,
    pub(crate) given_up: bool,
}
