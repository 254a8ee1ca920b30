//! The Lambda binary `rotate-redis`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotation::lambda::main(rotate_redis::Redis)
}
