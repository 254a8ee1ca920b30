//! The Lambda binary `rotate-api-key`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotation::lambda::main(rotate_api_key::ApiKey::from_env())
}
