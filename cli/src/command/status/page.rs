//! The table of `status` as one page of HTML with a chart of ages. The page has no script and loads nothing.

use super::row::Row;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1d2430}\
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #dde2ea}\
td.age{width:45%}rect{fill:#5b8def}.stuck rect,.overdue rect{fill:#d64545}.off rect,.never rect{fill:#e0a030}\
.none rect{fill:#b8c0cc}text{font:12px system-ui,sans-serif;fill:#1d2430}";

/// The page.
pub(super) fn html(rows: &[Row], region: &str) -> String {
    let oldest = rows.iter().map(|row| row.age).max().unwrap_or(0).max(1);
    let attention = rows.iter().filter(|row| matches!(row.condition.name(), "stuck" | "overdue")).count();
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Rotation in {region}</title><style>{STYLE}</style>\
         <h1>Rotation in {region}</h1><p>{} secret{}, {attention} stuck or overdue.</p>\
         <table><tr><th>Secret<th>State<th>Age of the password</tr>",
        rows.len(),
        if rows.len() == 1 { "" } else { "s" },
        region = escaped(region),
    );
    for row in rows {
        // The longest bar leaves room for its own label.
        let width = row.age * 300 / oldest;
        page += &format!(
            "<tr class=\"{state}\"><td>{name}<td>{state}<td class=\"age\"><svg width=\"400\" height=\"18\" role=\"img\" \
             aria-label=\"{age} days\"><rect width=\"{width}\" height=\"18\"/><text x=\"{at}\" y=\"13\">{age} days</text></svg></tr>\n",
            state = row.condition.name(),
            name = escaped(&row.name),
            age = row.age,
            at = width + 6,
        );
    }
    page + "</table></html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
