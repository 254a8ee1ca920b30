//! `cargo xtask soak`: rotates thousands of times, and checks that nothing grows or slows down.

use std::process::ExitCode;

use crate::command::{cargo, watch};
use crate::parts::{Parts, Tally};
use crate::setup;
use crate::test::number_before;

/// Runs the soak with 10,000 rotations, or as many as the arguments say.
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
            // This line announces the number of rotations.
            if line.contains(" rotations of ") {
                tally.passed = number_before(line, " rotations of ");
            }
        },
    );
    done.and_then(|()| if tally.passed > 0 { Ok(tally) } else { Err("nothing was rotated".to_owned()) })
}
