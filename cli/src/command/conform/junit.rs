//! The scorecard as JUnit's XML, which CI systems show test by test.

use super::card::{Card, Line, Verdict};

/// The whole file. What could not be told is a skipped test.
pub(super) fn xml(card: &Card<'_>) -> String {
    let (failures, skipped) = (card.count(Verdict::Fail), card.count(Verdict::CouldNotTell));
    let suite = format!("turnlock conform: {} on {} ({})", card.command, card.server, card.strategy);
    let seconds: f64 = card.lines.iter().map(|line| line.took.as_secs_f64()).sum();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\"", card.lines.len());
    let cases: String = card.lines.iter().map(|line| case(card, line)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
         <testsuite name=\"{}\" {counts} skipped=\"{skipped}\" time=\"{seconds:.3}\">\n    \
         <properties><property name=\"seed\" value=\"{}\"/></properties>\n{cases}  </testsuite>\n</testsuites>\n",
        escaped(&suite),
        card.seed,
    )
}

fn case(card: &Card<'_>, line: &Line) -> String {
    let class = format!("{}.{}.run {}.{}", card.engine, card.strategy, line.run, line.part);
    let (class, name, seconds) = (escaped(&class), escaped(line.check), line.took.as_secs_f64());
    let (verdict, detail) = line.told();
    let (detail, means) = (escaped(detail), escaped(line.means));
    let inside = match verdict {
        Verdict::Pass => String::new(),
        Verdict::Fail => format!("<failure message=\"{detail}\">means: {means}</failure>"),
        Verdict::CouldNotTell => format!("<skipped message=\"could not tell: {detail}\"/>"),
    };
    format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\">{inside}</testcase>\n")
}

/// As the value of an attribute. XML has no way to write most control characters, so they are left out.
fn escaped(text: &str) -> String {
    text.chars().filter(|it| !it.is_control() || *it == '\n').map(escape).collect()
}

fn escape(character: char) -> String {
    match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\n' => "&#10;".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_says_stays_inside_its_attribute() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{1b}[1m\u{0}é"), "a&lt;b&gt; &amp; &quot;c&quot;&#10;[1mé");
    }
}
