//! The Lambda binary `rotate-redshift`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotation::lambda::main(rotate_redshift::Redshift::default())
}
