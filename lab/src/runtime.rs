//! A local Lambda: starts any process that speaks the runtime API, and calls it; knows nothing of what the process does.
//!
//! As in Lambda, one process handles one invocation at a time, is used again afterwards, and is joined by a second
//! one when a call comes while it is busy. A process that died is replaced at the next call, one that is over its
//! time is killed, and each sees a clean environment with the variables of Lambda's page "Defined runtime
//! environment variables".

mod api;
mod build;
mod environment;
mod failure;
mod function;
mod process;
mod running;

pub use failure::{FunctionError, InvokeError};
pub use function::Function;
pub use running::RunningFunction;
