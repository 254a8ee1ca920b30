//! Plays every file of `tests/scenarios` against the real program. A file is a transcript of commands, their output and their exit codes.
//!
//! A file begins with `world KIND` (`scenarios/world.rs` has the kinds). Then come lines that begin with
//! - `$`: a command for the shell; `?` its exit code, `>` its standard output, `!` its standard error, line by line;
//! - `sql`: a statement for the server's superuser; `call`: an operation of the lab's Secrets Manager and its request;
//!   `faults`: the faults of its calls from then on;
//! - `#`: a remark.
//!
//! Words in capitals replace whatever differs from run to run (`scenarios/world.rs`). `UPDATE_SCENARIOS=1` writes the actual output
//! into the files. Read it before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::task::JoinSet;

#[path = "scenarios/world.rs"]
mod world;

use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut scenarios = JoinSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "txt") && path.to_str().unwrap().contains(&wanted) {
            scenarios.spawn(play(path));
        }
    }
    let results = scenarios.join_all().await;
    assert!(!results.is_empty(), "no scenario is called {wanted}");
    let failed: Vec<String> = results.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Plays one file, and returns the difference, if any.
async fn play(path: PathBuf) -> Option<String> {
    let script = fs::read_to_string(&path).expect("the file is text");
    let mut lines = script.lines().peekable();
    let mut played = String::new();
    let mut world = None;
    while let Some(line) = lines.next() {
        played += &format!("{line}\n");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "world" => world = Some(World::new(rest).await),
            "sql" => world.as_ref().expect("a world comes first").sql(rest).await,
            "faults" => world.as_ref().expect("a world comes first").faults(rest),
            "call" => world.as_mut().expect("a world comes first").call(rest),
            "$" => {
                // Skips the expected output; the whole file is compared at the end.
                while lines.next_if(|line| line.starts_with(['?', '>', '!'])).is_some() {}
                let happened = world.as_mut().expect("a world comes first").run(rest).await;
                played.push_str(&happened);
            }
            "" | "#" => {}
            other => panic!("{}: unknown word {other}", path.display()),
        }
    }
    if script == played {
        return None;
    }
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        fs::write(&path, played).expect("the file can be written");
        return None;
    }
    Some(format!("{}:\n{}", path.display(), difference(&script, &played)))
}

/// The first lines that differ, with some lines around them.
fn difference(expected: &str, happened: &str) -> String {
    let same = expected.lines().zip(happened.lines()).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(4);
    let part = |text: &str| text.lines().skip(from).take(24).collect::<Vec<_>>().join("\n");
    format!("--- expected, from line {}\n{}\n--- happened\n{}\n", from + 1, part(expected), part(happened))
}
