//! `cargo xtask soak`: rotations by the thousand, and what they leave behind.

use std::process::ExitCode;

use crate::command::{cargo, watch};
use crate::parts::{Parts, Tally};
use crate::setup;
use crate::test::number_before;

/// Runs so many rotations.
pub(crate) fn run_all(arguments: &[&str]) -> Option<ExitCode> {
    let rotations = match arguments {
        [] => 10_000,
        ["--rotations", number] => number.parse::<u32>().ok()?,
        _ => return None,
    };
    let mut parts = Parts::default();
    parts.part("setup", setup::packages);
    parts.part("soak", || soak(rotations));
    Some(parts.end())
}

fn soak(rotations: u32) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let done = watch(
        cargo(&["test", "--locked", "--package", "rotation-tests", "--test", "soak", "--", "--nocapture"])
            .env("TURNLOCK_ROTATIONS", rotations.to_string()),
        |line| {
            // The line that says how many there will be.
            if line.contains(" rotations of ") {
                tally.passed = number_before(line, " rotations of ");
            }
        },
    );
    done.and_then(|()| if tally.passed > 0 { Ok(tally) } else { Err("nothing was rotated".to_owned()) })
}
