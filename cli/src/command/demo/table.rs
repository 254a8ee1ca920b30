//! The strategies of the demo side by side.

use super::act::Outcome;
use crate::screen::{Paint, Screen};

/// One row: its name, and its text for an outcome.
type Row = (&'static str, fn(&Outcome) -> String);

const ROWS: [Row; 5] = [
    ("rotation", |it| format!("{} ms", it.took().as_millis())),
    ("logins", |it| it.tally.logins().to_string()),
    ("a second", |it| format!("{:.0}", it.tally.logins() as f64 / it.watched.as_secs_f64())),
    ("refused", |it| it.tally.refused.to_string()),
    ("longest gap", |it| format!("{} ms", it.tally.gap.as_millis())),
];

/// Prints the table.
pub(super) fn print(screen: &Screen, outcomes: &[Outcome]) {
    let heads = outcomes.iter().map(|it| format!("{:>20}", it.strategy)).collect::<String>();
    screen.out(format!("\n{:<12}{}", "", screen.paint(Paint::Strong, heads)));
    for (name, cell) in ROWS {
        let cells = outcomes.iter().map(|it| {
            let text = format!("{:>20}", cell(it));
            match (name, it.tally.refused) {
                ("refused", 0) => screen.paint(Paint::Good, text),
                ("refused", _) => screen.paint(Paint::Careful, text),
                _ => text,
            }
        });
        screen.out(format!("{name:<12}{}", cells.collect::<String>()));
    }
}
