//! A local Lambda: starts any process that speaks the runtime API, and calls it. It does not know what the process does.
//!
//! As in Lambda, one process handles one invocation at a time and is reused for the next. A call that finds it busy starts a
//! second process. A dead process is replaced at the next call, and one that exceeds its time is killed. Each process gets a
//! clean environment with the variables of Lambda's page "Defined runtime environment variables".

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
