//! Where a case of a sweep happens, and who judges it.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::proxy::Proxy;
use crate::world::World;

/// Whether the target accepts the credential in a secret's value.
pub type Accepts = Arc<dyn Fn(Value) -> Answer<bool> + Send + Sync>;
/// What must hold at the end of a case beyond labels and logins, such as equal privileges or no key left over.
pub type Epilogue = Arc<dyn Fn() -> Answer<Result<(), String>> + Send + Sync>;
/// A future that somebody else can wait for.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One secret, its function and its account, all fresh.
pub struct Stage {
    /// Lab, secret and function.
    pub world: World,
    /// What the function's traffic with the target passes through, if it is to be cut as well.
    pub proxy: Option<Arc<Proxy>>,
    /// What logs in.
    pub accepts: Accepts,
    /// Whether AWSCURRENT has to log in at every instant.
    pub overlaps: bool,
    /// What else must hold at the end.
    pub epilogue: Option<Epilogue>,
}
