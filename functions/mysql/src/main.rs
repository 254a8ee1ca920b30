//! The Lambda binary `rotate-mysql`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotation::lambda::main(rotate_mysql::Mysql)
}
