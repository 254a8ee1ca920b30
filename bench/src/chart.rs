//! Draws four small bar charts in one SVG: ours beside AWS's Python and, if it was measured, the floor.

use std::fmt::Write;

use crate::plan::PACKAGES;
use crate::results::Results;
use crate::subject::Side::{Ours, Theirs};

const WIDTH: f64 = 760.0;
const LABEL: f64 = 130.0;
const BAR: f64 = 18.0;
const PANEL: f64 = 92.0;
/// The longest bar's end, so that the figure behind the bar still fits.
const LONGEST: f64 = 520.0;

/// Draws the chart. A panel without AWS's figures is left out.
pub(crate) fn draw(results: &Results) -> String {
    let time = |figure: Option<std::time::Duration>| figure.map(|time| time.as_secs_f64() * 1000.0);
    let megabytes = |figure: Option<u64>| figure.map(|bytes| bytes as f64 / 1e6);
    let package = PACKAGES[0];
    let panels = [
        (
            "time to ready, ms",
            [
                time(results.ready(package, Ours)),
                time(results.ready(package, Theirs)),
                time(results.floor_ready()),
            ],
        ),
        (
            "first rotation, start included, 5 ms a call, ms",
            [time(results.cold(0, 5, Ours)), time(results.cold(0, 5, Theirs)), None],
        ),
        (
            "warm rotation, 10 ms a call, ms",
            [time(results.warm(0, 10, Ours)), time(results.warm(0, 10, Theirs)), None],
        ),
        (
            "peak memory, MB",
            [
                megabytes(results.memory(package, Ours)),
                megabytes(results.memory(package, Theirs)),
                megabytes(results.floor_memory()),
            ],
        ),
    ];
    let height = PANEL * panels.len() as f64 + 24.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"18\" font-weight=\"bold\">PostgreSQL, single-user</text>\n"
    );
    for ((title, figures), at) in panels.into_iter().zip(0..) {
        panel(&mut svg, 24.0 + PANEL * f64::from(at), title, figures);
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, top: f64, title: &str, figures: [Option<f64>; 3]) {
    let most = figures.into_iter().flatten().fold(f64::MIN_POSITIVE, f64::max);
    line(svg, format_args!("<text x=\"10\" y=\"{}\" fill=\"#555555\">{title}</text>", top + 14.0));
    let bars = [("Turnlock", "#1f6feb"), ("AWS's Python", "#d08a3c"), ("floor", "#8b949e")];
    let known = bars.into_iter().zip(figures).filter_map(|(bar, figure)| Some((bar, figure?)));
    for (((name, colour), figure), at) in known.zip(0..) {
        let y = top + 20.0 + (BAR + 4.0) * f64::from(at);
        let width = figure / most * LONGEST;
        line(svg, format_args!("<text x=\"10\" y=\"{}\">{name}</text>", y + 13.0));
        line(
            svg,
            format_args!(
                "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
            ),
        );
        line(
            svg,
            format_args!("<text x=\"{:.1}\" y=\"{}\">{figure:.1}</text>", LABEL + width + 6.0, y + 13.0),
        );
    }
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(svg, "{text}").expect("a String takes everything");
}
