//! The target's type, below the files that work for it. Its methods are in `lib.rs`.

use crate::provider::Providers;
use crate::unstored::Unstored;

/// The folder in which a Lambda layer puts provider files.
const FOLDER: &str = "/opt/providers";
/// The target.
pub struct ApiKey {
    pub(crate) providers: Providers,
    pub(crate) unstored: Unstored,
}

impl ApiKey {
    /// Reads the settings and the provider folder from this process's environment.
    pub fn from_env() -> ApiKey {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let folder = set("PROVIDERS_DIR").unwrap_or_else(|| FOLDER.to_owned());
        ApiKey { providers: Providers::new(folder.into(), set("PROVIDER")), unstored: Unstored::default() }
    }
}
