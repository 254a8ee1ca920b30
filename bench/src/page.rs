//! Writes the measured parts of docs/benchmarks.md: everything between two comments. The text around them is written by hand.

use std::fs;
use std::io;
use std::time::Duration;

use crate::figures::{NONE, mb, ms, ratio, shown};
use crate::plan::{CASES, LATENCIES, PACKAGES};
use crate::results::Results;
use crate::subject::Side::{Ours, Theirs};
use crate::{chart, machine};

const PAGE: &str = "docs/benchmarks.md";
const CHART: &str = "docs/benchmarks.svg";

/// A part of the page, between two comments.
pub(crate) struct Part {
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

const FUNCTIONS: Part = Part {
    begin: "<!-- measured: written by cargo xtask bench -->",
    end: "<!-- end of what was measured -->",
};

/// Prints the tables, and puts them into the page.
pub(crate) fn write(results: &Results, rounds: usize, keep: bool) -> io::Result<()> {
    let measured = [
        format!(
            "{} {rounds} rounds, each with one process for every case, side and latency.\n",
            circumstances(results.load, results.took)
        ),
        goals(results),
        functions(results),
        rotations(results),
        steps(results),
        counts(results),
    ]
    .join("\n");
    println!("{measured}");
    if !keep {
        return Ok(());
    }
    replace(&FUNCTIONS, &measured)?;
    fs::write(CHART, chart::draw(results))
}

/// Replaces the text of a part of the page.
pub(crate) fn replace(part: &Part, text: &str) -> io::Result<()> {
    let Part { begin, end } = part;
    let page = fs::read_to_string(PAGE)?;
    let around = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = around
        .ok_or_else(|| io::Error::other(format!("{PAGE} has no comments that mark the measured part")))?;
    fs::write(PAGE, format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

/// The sentence on date, commit, machine, load and duration.
pub(crate) fn circumstances(load: f64, took: Duration) -> String {
    format!(
        "Measured on {} at commit {}: {}. Load average {load:.1} before it began, and {:.0} s of measuring.",
        machine::date(),
        machine::commit(),
        machine::machine(),
        took.as_secs_f64()
    )
}

/// A row of figures.
pub(crate) fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The first two lines of a table.
pub(crate) fn head(columns: &[&str]) -> String {
    let head: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    format!("{}|{}\n", row(&head), "---|".repeat(columns.len()))
}

fn table(heading: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("### {heading}\n\n{}", head(columns));
    text.extend(rows.into_iter().map(|cells| row(&cells)));
    text
}

/// Each goal with its measured figure. The cases of the first function, PostgreSQL's, stand for all.
fn goals(results: &Results) -> String {
    let share =
        |what, limit, figure, most| goal(what, limit, figure, most, |figure: f64| format!("{figure:.3}"));
    let count =
        |what, limit, figure, most| goal(what, limit, figure, most, |figure: usize| figure.to_string());
    let postgres = PACKAGES[0];
    let floor = results.ready(postgres, Ours).zip(results.floor_ready());
    let memory = results.memory(postgres, Ours).zip(results.memory(postgres, Theirs));
    let single: Vec<_> = CASES.iter().zip(0..).filter(|(case, _)| case.strategy == "single-user").collect();
    let counts = || single.iter().filter_map(|(_, at)| results.counts.get(&(*at, Ours)));
    let ours = results.counts.iter().filter(|((_, side), _)| *side == Ours);
    let largest = results.zips.values().max().map(|size| *size as usize);
    let rows = [
        share(
            "time to ready, against AWS's Python",
            "1/20 = 0.050",
            results.against(|r, side| r.ready(postgres, side)),
            0.05,
        ),
        share(
            "time to ready, against the bare floor",
            "1.5",
            floor.map(|(one, floor)| ratio(one, floor)),
            1.5,
        ),
        share(
            "first rotation, cold, at 5 ms, against AWS's Python",
            "1/6 = 0.167",
            results.against(|r, side| r.cold(0, 5, side)),
            1.0 / 6.0,
        ),
        share(
            "warm rotation, at 10 ms, against AWS's Python",
            "0.5",
            results.against(|r, side| r.warm(0, 10, side)),
            0.5,
        ),
        share(
            "peak memory, against AWS's Python",
            "1/5 = 0.200",
            memory.map(|(ours, theirs)| ours as f64 / theirs as f64),
            0.2,
        ),
        count(
            "Secrets Manager calls, single user, any server",
            "15",
            counts().map(|count| count.calls).max(),
            15,
        ),
        count("of them in sequence", "8", counts().map(|count| count.depth).max(), 8),
        count(
            "logins refused in a normal rotation, any strategy",
            "0",
            ours.map(|(_, count)| count.refused).max(),
            0,
        ),
        count("the largest zip, bytes", "4,000,000", largest, 4_000_000),
    ];
    let picture =
        "\n![time to ready, first rotation, warm rotation and memory, ours beside AWS's](benchmarks.svg)\n";
    table("Goals", &["figure", "goal, at most", "measured", ""], rows) + picture
}

/// A row: the figure's name, its limit as text and as a number, its measured value, and the verdict.
fn goal<T: Copy + PartialOrd>(
    what: &str,
    limit: &str,
    figure: Option<T>,
    most: T,
    show: impl FnOnce(T) -> String,
) -> Vec<String> {
    let verdict = match figure {
        Some(figure) if figure <= most => "met",
        Some(_) => "**missed**",
        None => "not measured",
    };
    vec![what.to_owned(), limit.to_owned(), shown(figure, show), verdict.to_owned()]
}

fn functions(results: &Results) -> String {
    let ours = PACKAGES.iter().filter_map(|package| {
        let ready = results.ready(package, Ours)?;
        let of_floor = results.floor_ready().map(|floor| format!("{:.2}", ratio(ready, floor)));
        Some(vec![
            format!("`{package}`"),
            ms(ready),
            of_floor.unwrap_or_else(|| NONE.to_owned()),
            shown(results.instructions.get(package), |count| format!("{:.2}", *count as f64 / 1e6)),
            shown(results.memory(package, Ours), mb),
            shown(results.zips.get(package), |size| format!("{:.2}", *size as f64 / 1e6)),
        ])
    });
    let floor = results.floor_ready().map(|ready| {
        vec![
            "floor: `lambda_runtime` and nothing else".to_owned(),
            ms(ready),
            "1".to_owned(),
            shown(results.instructions.get("floor"), |count| format!("{:.2}", *count as f64 / 1e6)),
            shown(results.floor_memory(), mb),
            NONE.to_owned(),
        ]
    });
    let theirs = PACKAGES.iter().filter_map(|package| {
        let ready = results.ready(package, Theirs)?;
        let of_floor = results.floor_ready().map(|floor| format!("{:.1}", ratio(ready, floor)));
        let name = format!("AWS's Python in the place of `{package}`");
        let memory = shown(results.memory(package, Theirs), mb);
        Some(vec![
            name,
            ms(ready),
            of_floor.unwrap_or_else(|| NONE.to_owned()),
            NONE.to_owned(),
            memory,
            NONE.to_owned(),
        ])
    });
    let columns = [
        "function",
        "ready, ms",
        "of the floor",
        "instructions of a start, millions",
        "peak memory, MB",
        "zip, MB",
    ];
    table("Each function", &columns, ours.chain(floor).chain(theirs))
}

/// The tables of first and warm rotations, at each latency.
fn rotations(results: &Results) -> String {
    let mut text = String::new();
    type Figure = fn(&Results, usize, u64, crate::subject::Side) -> Option<Duration>;
    let kinds: [(&str, Figure); 2] = [
        ("First rotation of a process, start included, ms", |r, at, ms, side| r.cold(at, ms, side)),
        ("Warm rotation, ms", |r, at, ms, side| r.warm(at, ms, side)),
    ];
    for (heading, figure) in kinds {
        let rows = CASES.iter().enumerate().filter_map(|(at, case)| {
            figure(results, at, LATENCIES[0], Ours)?;
            let cells = LATENCIES.iter().map(|&latency| {
                let ours = figure(results, at, latency, Ours);
                let theirs = figure(results, at, latency, Theirs);
                match (ours, theirs) {
                    (Some(ours), Some(theirs)) => {
                        format!("{} / {} = {:.2}", ms(ours), ms(theirs), ratio(ours, theirs))
                    }
                    (ours, _) => shown(ours, ms),
                }
            });
            Some(std::iter::once(case.name()).chain(cells).collect())
        });
        text += &table(heading, &["ours / AWS's Python", "0 ms a call", "5 ms", "10 ms", "25 ms"], rows);
        text += "\n";
    }
    text
}

/// The steps of the first case at 10 ms.
fn steps(results: &Results) -> String {
    if results.warm(0, 10, Ours).is_none() {
        return String::new();
    }
    let names = ["createSecret", "setSecret", "testSecret", "finishSecret"];
    let rows = names.iter().enumerate().map(|(step, name)| {
        let cells = [
            results.cold_step(0, 10, Ours, step),
            results.cold_step(0, 10, Theirs, step),
            results.warm_step(0, 10, Ours, step),
            results.warm_step(0, 10, Theirs, step),
        ];
        std::iter::once((*name).to_owned()).chain(cells.map(|cell| shown(cell, ms))).collect()
    });
    let columns = ["step", "first, ours", "first, AWS's Python", "warm, ours", "warm, AWS's Python"];
    table("Steps of PostgreSQL, single-user, at 10 ms a call, ms", &columns, rows)
}

fn counts(results: &Results) -> String {
    let rows = results.counts.iter().map(|((at, side), count)| {
        let (first, warm) = results.processor(*at, *side).unzip();
        let whose = if *side == Ours { "" } else { ", AWS's Python" };
        vec![
            format!("{}{whose}", CASES[*at].name()),
            format!("{} / {}", count.calls, count.depth),
            count.connections.to_string(),
            count.round_trips.to_string(),
            count.refused.to_string(),
            shown(first, ms),
            shown(warm, ms),
        ]
    });
    let columns = [
        "a rotation",
        "calls of Secrets Manager / in sequence",
        "connections",
        "round trips",
        "refused logins",
        "processor, first with start, ms",
        "processor, warm, ms",
    ];
    table("What a rotation asks for", &columns, rows)
}
