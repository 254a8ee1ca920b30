//! Measures rotation functions as whole processes, ours and AWS's side by side, and what clients notice of them. Started by
//! `cargo xtask bench`, `cargo xtask scale` and `cargo xtask continuity`, which build the functions first.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod chart;
mod client;
mod continuity;
mod count;
mod figures;
mod instructions;
mod issuer;
mod machine;
mod measure;
mod page;
mod plan;
mod results;
mod scale;
mod servers;
mod simulate;
mod subject;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use lab::Lab;

use plan::{CASES, LATENCIES, PACKAGES, latency};
use results::Results;
use servers::Servers;
use subject::{Peer, Side, Subjects};

/// The default number of rounds, in each of which every case is measured at each latency.
const ROUNDS: usize = 7;

const USAGE: &str = "\
usage: bench FUNCTIONS [--peer DIR --peer-python PYTHON] [--rounds N] [--only TEXT] [--dry]
       bench scale FUNCTIONS
       bench continuity FUNCTIONS [TEXT]

  FUNCTIONS      a folder with the functions, and `floor` if the floor is to be measured
  --peer         a checkout of aws-samples/aws-secrets-manager-rotation-lambdas
  --peer-python  a Python with awslambdaric, boto3, PyGreSQL and PyMySQL
  --rounds       how often everything is measured (7)
  --only         the cases with this in their name; docs/benchmarks.md stays as it is
  --dry          docs/benchmarks.md stays as it is
  TEXT           only the cases with this in their name; docs/benchmarks.md stays as it is
";

struct Arguments {
    functions: PathBuf,
    peer: Option<Peer>,
    rounds: usize,
    only: String,
    dry: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["scale", functions] => scale::run(functions.into()).await,
        ["continuity", functions] => continuity::run(functions.into(), None).await,
        ["continuity", functions, text] => continuity::run(functions.into(), Some(text)).await,
        _ => match Arguments::parse(&words) {
            Some(arguments) => bench(arguments).await,
            None => {
                eprint!("{USAGE}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn parse(words: &[&str]) -> Option<Arguments> {
        let (functions, mut options) = words.split_first()?;
        let (mut folder, mut python) = (None, None);
        let mut parsed = Arguments {
            functions: functions.into(),
            peer: None,
            rounds: ROUNDS,
            only: String::new(),
            dry: false,
        };
        while let Some((option, rest)) = options.split_first() {
            options = match (*option, rest) {
                ("--dry", rest) => {
                    parsed.dry = true;
                    rest
                }
                ("--peer", [value, rest @ ..]) => {
                    folder = Some(PathBuf::from(value));
                    rest
                }
                ("--peer-python", [value, rest @ ..]) => {
                    python = Some(PathBuf::from(value));
                    rest
                }
                ("--rounds", [value, rest @ ..]) => {
                    parsed.rounds = value.parse().ok().filter(|rounds| *rounds > 0)?;
                    rest
                }
                ("--only", [value, rest @ ..]) => {
                    parsed.only = (*value).to_owned();
                    // The page shows all cases, so a run of some cases does not change it.
                    parsed.dry = true;
                    rest
                }
                _ => return None,
            };
        }
        parsed.peer = match (folder, python) {
            (Some(folder), Some(python)) => Some(Peer { folder, python }),
            (None, None) => None,
            _ => return None,
        };
        Some(parsed)
    }
}

async fn bench(arguments: Arguments) -> io::Result<()> {
    let began = Instant::now();
    let chosen: Vec<usize> =
        (0..CASES.len()).filter(|at| CASES[*at].name().contains(&arguments.only)).collect();
    if chosen.is_empty() {
        return Err(io::Error::other(format!("no case has {} in its name", arguments.only)));
    }
    let servers = Servers::start().await?;
    let lab = Lab::start(Default::default()).await?;
    let subjects = Subjects::new(arguments.functions, arguments.peer, lab.endpoint())?;
    let mut results = Results { load: machine::load(), ..Results::default() };
    for &at in &chosen {
        for side in subjects.sides(&CASES[at]) {
            let name = secret(at, side);
            let account =
                servers.account(&CASES[at], &format!("{name}-admin"), servers.port(CASES[at].engine)).await?;
            account.store(&lab, &name)?;
            let counted = count::count(&lab, &subjects, &servers, &CASES[at], side).await;
            match counted {
                Ok(count) => drop(results.counts.insert((at, side), count)),
                // Python's driver needs another package for MySQL logins without TLS. If it is missing, the run continues without
                // this row.
                Err(error) if side == Side::Theirs => eprintln!("not counted: {error}"),
                Err(error) => return Err(error),
            }
        }
    }
    for round in 0..arguments.rounds {
        println!("round {} of {}, {:.0} s", round + 1, arguments.rounds, began.elapsed().as_secs_f64());
        measure_all(&lab, &subjects, &servers, &chosen, round, &mut results).await?;
    }
    if instructions::available().await {
        count_instructions(&subjects, &mut results).await?;
    }
    for package in PACKAGES {
        results.zips.extend(subjects.zip_size(package).map(|size| (package, size)));
    }
    results.took = began.elapsed();
    page::write(&results, arguments.rounds, !arguments.dry)
}

/// Measures everything once. The order of the sides changes from round to round, so that neither always comes second.
async fn measure_all(
    lab: &Lab,
    subjects: &Subjects,
    servers: &Servers,
    cases: &[usize],
    round: usize,
    results: &mut Results,
) -> io::Result<()> {
    for ms in LATENCIES {
        lab.set_latency(latency(ms));
        for &at in cases {
            let mut sides = subjects.sides(&CASES[at]);
            if round % 2 == 1 {
                sides.reverse();
            }
            for side in sides {
                let port = servers.port(CASES[at].engine);
                let function = subjects.function(&CASES[at], side, servers, port)?;
                let life = measure::life(lab, &secret(at, side), function).await?;
                results.lives.entry((at, ms, side)).or_default().push(life);
            }
            if let Some(floor) = subjects.floor() {
                results.floor.push(measure::idle(floor).await?);
            }
        }
    }
    Ok(())
}

async fn count_instructions(subjects: &Subjects, results: &mut Results) -> io::Result<()> {
    for package in PACKAGES.iter().copied().chain(subjects.floor().map(|_| "floor")) {
        let program = subjects.functions.join(package);
        let counted = instructions::of_start(&[program.as_os_str()], &[]).await?;
        results.instructions.insert(package, counted);
    }
    Ok(())
}

/// The name of a case's secret, and of the function that rotates it.
fn secret(case: usize, side: Side) -> String {
    format!("bench-{case}-{side:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_written_only_of_all_cases() {
        let dry = |words: &[&str]| Arguments::parse(words).map(|arguments| arguments.dry);
        assert_eq!(dry(&["functions"]), Some(false));
        assert_eq!(dry(&["functions", "--only", "mysql"]), Some(true));
    }
}
