//! Measures many secrets, through one warm process and through many processes at once, and simulates the quotas for 100,000.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::Lab;

use crate::figures::{mb, median, ms};
use crate::measure::{Rotation, rotate};
use crate::plan::CASES;
use crate::servers::Servers;
use crate::simulate;
use crate::subject::{Side, Subjects};

const SECRETS: usize = 1_000;
const AT_ONCE: usize = 50;
/// The number of rotations in one line of the table.
const PART: usize = 100;

/// Simulates, then measures, and prints both.
pub(crate) async fn run(functions: PathBuf) -> io::Result<()> {
    simulated();
    let servers = Servers::start().await?;
    let lab = Lab::start(Default::default()).await?;
    let subjects = Subjects::new(functions, None, lab.endpoint())?;
    for number in 0..SECRETS {
        let account = servers.account(&CASES[0], "", servers.port(CASES[0].engine)).await?;
        account.store(&lab, &name(number))?;
    }
    one_after_another(&lab, &subjects, &servers).await?;
    at_once(Arc::new(lab), &subjects, &servers).await
}

fn name(number: usize) -> String {
    format!("scale-{number}")
}

/// All secrets through one process.
async fn one_after_another(lab: &Lab, subjects: &Subjects, servers: &Servers) -> io::Result<()> {
    println!("{SECRETS} secrets through one process, PostgreSQL, single-user, 0 ms a call\n");
    println!("| rotations | ms each | processor ms each | peak memory, MB |\n|---|---|---|---|");
    let function = subjects.function(&CASES[0], Side::Ours, servers, 0)?.start().await?;
    let function = Arc::new(function);
    let mut part: Vec<Rotation> = Vec::new();
    for number in 0..SECRETS {
        lab.attach(&name(number), function.clone());
        part.push(rotate(lab, &name(number), &function).await?);
        if part.len() == PART {
            let (took, processor) = medians(&part);
            let memory = mb(function.memory_peak());
            println!(
                "| {} to {} | {} | {} | {memory} |",
                number + 2 - PART,
                number + 1,
                ms(took),
                ms(processor)
            );
            part.clear();
        }
    }
    assert_eq!(function.starts(), 1, "one process did it all");
    println!();
    Ok(())
}

/// The same secrets again, shared among many processes that all work at once.
async fn at_once(lab: Arc<Lab>, subjects: &Subjects, servers: &Servers) -> io::Result<()> {
    let mut tasks = Vec::new();
    let began = Instant::now();
    for process in 0..AT_ONCE {
        let function = subjects.function(&CASES[0], Side::Ours, servers, 0)?;
        let lab = Arc::clone(&lab);
        tasks.push(tokio::spawn(async move {
            let function = Arc::new(function.start().await?);
            let mut done = Vec::new();
            for number in (process..SECRETS).step_by(AT_ONCE) {
                lab.attach(&name(number), function.clone());
                done.push(rotate(&lab, &name(number), &function).await?);
            }
            io::Result::Ok((done, function.memory_peak()))
        }));
    }
    let (mut done, mut memory) = (Vec::new(), 0);
    for task in tasks {
        let (rotations, peak) = task.await.map_err(io::Error::other)??;
        done.extend(rotations);
        memory = memory.max(peak);
    }
    let (took, processor) = medians(&done);
    let rate = done.len() as f64 / began.elapsed().as_secs_f64();
    println!("the same {SECRETS} secrets, {AT_ONCE} processes at once\n");
    println!(
        "| rotations a second | ms each | processor ms each | peak memory of one, MB |\n|---|---|---|---|"
    );
    println!("| {rate:.1} | {} | {} | {} |\n", ms(took), ms(processor), mb(memory));
    Ok(())
}

fn medians(rotations: &[Rotation]) -> (Duration, Duration) {
    let took = median(rotations.iter().map(Rotation::took));
    (
        took.unwrap_or_default(),
        median(rotations.iter().map(|rotation| rotation.processor)).unwrap_or_default(),
    )
}

/// Windows for 100,000 secrets, and what fits into an hour.
fn simulated() {
    println!("simulated: all secrets of an account rotate in one window, each at a random moment of it\n");
    println!(
        "| secrets | window | rotations a second | calls refused | steps failed | longest, s | executions at once |"
    );
    println!("|---|---|---|---|---|---|---|");
    let minute = 60;
    let hour = 60 * minute;
    for (secrets, window) in [
        (1_000, minute),
        (10_000, hour),
        (100_000, hour),
        (100_000, 2 * hour),
        (100_000, 4 * hour),
        (100_000, 24 * hour),
        (100_000, 30 * 24 * hour),
    ] {
        let outcome = simulate::run(secrets, window, 1);
        let share = outcome.refused as f64 / outcome.writes as f64 * 100.0;
        let over =
            if outcome.most_at_once > simulate::CONCURRENCY { " (over the default quota)" } else { "" };
        println!(
            "| {secrets} | {} | {:.2} | {share:.1} % | {} | {:.0} | {}{over} |",
            if window < hour { format!("{} min", window / minute) } else { format!("{} h", window / hour) },
            f64::from(secrets) / window as f64,
            outcome.failed_steps,
            outcome.longest,
            outcome.most_at_once,
        );
    }
    println!();
}
