//! The Lambda binary `rotate-postgres`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotation::lambda::main(rotate_postgres::Postgres::default())
}
