//! `rate()` and `cron()` expressions, as "Schedule expressions in Secrets Manager rotation" describes them.

use super::calendar::Day;
use crate::secrets::moment::Moment;

/// A schedule: when its windows open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// Every this many hours, counted from midnight.
    Hours(u64),
    /// At midnight, every this many days.
    Days(u64),
    Cron(Cron),
}

/// "You can rotate a secret as often as every four hours."
const FEWEST_HOURS: u64 = 4;
/// "The maximum rotation period is 999 days."
const MOST_DAYS: u64 = 999;

impl Schedule {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let inside = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            let (number, unit) = rate.split_once(' ')?;
            let number: u64 = number.parse().ok()?;
            return match unit {
                "hour" | "hours" if (FEWEST_HOURS..=MOST_DAYS * 24).contains(&number) => {
                    Some(Self::Hours(number))
                }
                "day" | "days" if (1..=MOST_DAYS).contains(&number) => Some(Self::Days(number)),
                _ => None,
            };
        }
        Cron::parse(inside("cron")?).map(Self::Cron)
    }

    /// Whether it repeats within a day. Then its window is one hour long by default.
    pub(super) fn is_in_hours(&self) -> bool {
        match self {
            Self::Hours(_) => true,
            Self::Days(_) => false,
            Self::Cron(cron) => cron.hours.len() > 1,
        }
    }

    /// The longest window in hours. It must not reach into the next window or, for a schedule in days, the next UTC day.
    pub(super) fn longest_window(&self) -> u64 {
        match self {
            Self::Hours(hours) => *hours,
            Self::Days(_) => 24,
            Self::Cron(cron) => cron.longest_window(),
        }
    }

    /// When the next window opens after `now`. Rates are counted from `from`.
    pub(super) fn next(&self, from: Moment, now: Moment) -> Option<Moment> {
        match self {
            Self::Hours(hours) => {
                let step = hours * Moment::HOUR;
                let passed = (now.0 - from.day().0) / step;
                Some(Moment(from.day().0 + (passed + 1) * step))
            }
            Self::Days(days) => {
                let opens = from.day().plus_days(*days);
                // A window that passed without a rotation is replaced by one on the next day.
                Some(if opens > now { opens } else { now.day().plus_days(1) })
            }
            Self::Cron(cron) => cron.next(now),
        }
    }
}

/// `cron(Minutes Hours Day-of-month Month Day-of-week Year)`, where minutes are 0 and the year is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    hours: Vec<u32>,
    days: Days,
    months: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<u32>),
    LastOfMonth,
    OfWeek(Vec<u32>),
    /// The last of a weekday in the month.
    LastOfWeekday(u32),
    /// The n-th of a weekday in the month.
    NthOfWeekday(u32, u32),
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let ["0", hours, of_month, months, of_week, "*"] = fields[..] else { return None };
        let hours = values(hours, 0, 23, &[])?;
        let months = values(months, 1, 12, &MONTHS)?;
        // One of the two day fields must be open.
        let days = match (of_month, of_week) {
            ("L", "?") => Days::LastOfMonth,
            (days, "?" | "*") => Days::OfMonth(values(days, 1, 31, &[])?),
            ("?" | "*", week) => of_weekday(week)?,
            _ => return None,
        };
        let cron = Self { hours, days, months };
        (cron.shortest_gap() >= FEWEST_HOURS).then_some(cron)
    }

    fn longest_window(&self) -> u64 {
        let last = self.hours.last().copied().unwrap_or_default();
        self.shortest_gap().min(24 - u64::from(last))
    }

    /// The fewest hours between two windows of one day.
    fn shortest_gap(&self) -> u64 {
        self.hours.windows(2).map(|pair| u64::from(pair[1] - pair[0])).min().unwrap_or(24)
    }

    fn next(&self, now: Moment) -> Option<Moment> {
        let mut day = Day::of(now);
        // 29 February may be eight years away. The expression may also name a day that never comes, like 30 February.
        for _ in 0..=366 * 8 {
            if self.covers(day) {
                let opens =
                    self.hours.iter().map(|hour| Moment(day.start().0 + u64::from(*hour) * Moment::HOUR));
                if let Some(opens) = opens.into_iter().find(|opens| *opens > now) {
                    return Some(opens);
                }
            }
            day = day.next();
        }
        None
    }

    fn covers(&self, day: Day) -> bool {
        self.months.contains(&day.month())
            && match &self.days {
                Days::OfMonth(days) => days.contains(&day.day()),
                Days::LastOfMonth => day.is_last_of_month(),
                Days::OfWeek(days) => days.contains(&day.weekday()),
                Days::LastOfWeekday(weekday) => day.weekday() == *weekday && day.is_last_weekday(),
                Days::NthOfWeekday(weekday, nth) => day.weekday() == *weekday && day.nth_weekday() == *nth,
            }
    }
}

fn of_weekday(field: &str) -> Option<Days> {
    let weekday = |text| value(text, 1, 7, &WEEKDAYS);
    if let Some((day, nth)) = field.split_once('#') {
        return Some(Days::NthOfWeekday(weekday(day)?, value(nth, 1, 5, &[])?));
    }
    match field.strip_suffix('L') {
        // A single L is the last day of the week.
        Some("") => Some(Days::OfWeek(vec![7])),
        Some(day) => Some(Days::LastOfWeekday(weekday(day)?)),
        None => values(field, 1, 7, &WEEKDAYS).map(Days::OfWeek),
    }
}

/// The values of a field of `,`, `-`, `/` and `*`, in ascending order.
fn values(field: &str, min: u32, max: u32, names: &[&str]) -> Option<Vec<u32>> {
    let mut values = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(value(step, 1, max, &[])?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (min, max),
            Some((first, last)) => (value(first, min, max, names)?, value(last, min, max, names)?),
            // 4/12 begins at 4; 4 alone is only 4.
            None => {
                let first = value(range, min, max, names)?;
                (first, if step.is_some() { max } else { first })
            }
        };
        values.extend((first..=last).step_by(step.unwrap_or(1) as usize));
    }
    values.sort_unstable();
    values.dedup();
    (!values.is_empty()).then_some(values)
}

fn value(text: &str, min: u32, max: u32, names: &[&str]) -> Option<u32> {
    let named = names.iter().position(|name| *name == text).map(|at| u32::try_from(at).unwrap_or(0) + min);
    named.or_else(|| text.parse().ok()).filter(|value| (min..=max).contains(value))
}
