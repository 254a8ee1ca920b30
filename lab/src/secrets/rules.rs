//! When a secret rotates: `RotationRules` as callers give them, and the windows they make.

mod calendar;
mod schedule;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::input::Input;
use super::moment::Moment;
use super::refusal::Refusal;
use schedule::Schedule;

/// `RotationRules` as a caller gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rules {
    after_days: Option<u64>,
    schedule: Option<String>,
    duration: Option<String>,
}

/// A rotation window. The lab rotates as soon as it opens; what the service tells as the next rotation date is when
/// it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) opens: Moment,
    pub(crate) closes: Moment,
}

impl Rules {
    pub(crate) fn parse(input: &Input) -> Result<Self, Refusal> {
        let after_days = input.number_in("AutomaticallyAfterDays", 1, 1000)?.map(i64::unsigned_abs);
        let schedule = input.text("ScheduleExpression", 1, 256)?.map(ToOwned::to_owned);
        let duration = input.text("Duration", 2, 3)?.map(ToOwned::to_owned);
        if after_days.is_some() && schedule.is_some() {
            // The service's words: Terraform's issue 33329.
            return Err(Refusal::invalid_parameter(
                "You cannot specify both rotation frequency and schedule expression together.",
            ));
        }
        let rules = Self { after_days, schedule, duration };
        if rules.schedule.is_some() && rules.parsed().is_none() {
            return Err(Refusal::invalid_parameter(
                "ScheduleExpression must be rate(Value Unit) of at least 4 hours and at most 999 days, or \
                 cron(0 Hours Day-of-month Month Day-of-week *).",
            ));
        }
        if let Some(duration) = &rules.duration {
            let longest = rules.parsed().map_or(24, |schedule| schedule.longest_window());
            if !hours(duration).is_some_and(|hours| (1..=longest).contains(&hours)) {
                return Err(Refusal::invalid_parameter(
                    "Duration must be a number of hours like 3h, and the window must not extend into the next UTC \
                     day or the next rotation window.",
                ));
            }
        }
        Ok(rules)
    }

    /// What DescribeSecret tells. For a schedule, the days are those between its latest windows.
    pub(crate) fn json(&self, interval_days: Option<u64>) -> Option<Value> {
        let mut rules = json!({});
        if let Some(days) = self.after_days.or(interval_days) {
            rules["AutomaticallyAfterDays"] = json!(days);
        }
        if let Some(schedule) = &self.schedule {
            rules["ScheduleExpression"] = json!(schedule);
        }
        if let Some(duration) = &self.duration {
            rules["Duration"] = json!(duration);
        }
        (*self != Self::default()).then_some(rules)
    }

    /// The next window that opens after `now`, given when the secret last rotated.
    pub(crate) fn window(&self, last: Option<Moment>, now: Moment) -> Option<Window> {
        let schedule = self.parsed()?;
        let opens = schedule.next(last.unwrap_or(now), now)?;
        let hours = self.duration.as_deref().and_then(hours);
        let hours = hours.or(schedule.is_in_hours().then_some(1));
        // A window ends with its last second: 23:59:59 where it ends with the day.
        let end = hours.map_or(opens.plus_days(1).day().0, |hours| opens.0 + hours * Moment::HOUR);
        Some(Window { opens, closes: Moment(end - 1000) })
    }

    /// Is the date of the last rotation what counts? Then a new value put by hand counts as one.
    pub(crate) fn counts_from_last(&self) -> bool {
        self.after_days.is_some()
    }

    fn parsed(&self) -> Option<Schedule> {
        match (&self.schedule, self.after_days) {
            (Some(text), _) => Schedule::parse(text),
            (None, days) => days.map(Schedule::Days),
        }
    }
}

fn hours(duration: &str) -> Option<u64> {
    duration.strip_suffix('h')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Moment, Rules};

    /// 2026-01-01T00:00Z, a Thursday.
    const NEW_YEAR: u64 = 1_767_225_600_000;

    /// Checks when the windows of a schedule open and close after 2026-01-01T10:30Z, in hours from that midnight.
    #[track_caller]
    fn check(expression: &str, duration: Option<&str>, expected: &[(u64, u64)]) {
        let rules =
            Rules { after_days: None, schedule: Some(expression.into()), duration: duration.map(Into::into) };
        let mut now = Moment(NEW_YEAR + Moment::HOUR * 21 / 2);
        let last = now;
        for (opens, closes) in expected {
            let window = rules.window(Some(last), now).expect("a window");
            let hours = |at: Moment| (at.0 - NEW_YEAR).div_ceil(Moment::HOUR);
            assert_eq!((hours(window.opens), hours(window.closes)), (*opens, *closes), "{expression}");
            now = window.opens;
        }
    }

    #[test]
    fn rates_open_at_midnight_or_every_so_many_hours_from_it() {
        check("rate(4 hours)", None, &[(12, 13), (16, 17), (20, 21), (24, 25)]);
        check("rate(10 days)", None, &[(240, 264)]);
        check("rate(1 day)", Some("3h"), &[(24, 27)]);
    }

    #[test]
    fn cron_expressions_open_at_their_hours() {
        check("cron(0 8/8 * * ? *)", None, &[(16, 17), (32, 33), (40, 41)]);
        check("cron(0 4/12 * * ? *)", None, &[(16, 17), (28, 29), (40, 41)]);
        check("cron(0 8 ? * MON-FRI *)", None, &[(32, 48), (24 * 4 + 8, 24 * 5)]);
        check("cron(0 16 L * ? *)", None, &[(24 * 30 + 16, 24 * 31), (24 * 58 + 16, 24 * 59)]);
        check("cron(0 0 ? * SUN#1 *)", None, &[(24 * 3, 24 * 4), (24 * 31, 24 * 32)]);
        check("cron(0 22 ? * FRIL *)", Some("2h"), &[(24 * 29 + 22, 24 * 30)]);
        check("cron(0 10 1,15 JAN,APR ? *)", None, &[(24 * 14 + 10, 24 * 15), (24 * 90 + 10, 24 * 91)]);
    }

    #[test]
    fn the_last_day_of_february_is_found_in_leap_years_too() {
        let rules = Rules { after_days: None, schedule: Some("cron(0 0 29 2 ? *)".into()), duration: None };
        let opens = rules.window(None, Moment(NEW_YEAR)).expect("2028 is a leap year").opens;
        // 2028-02-29T00:00Z
        assert_eq!(opens, Moment(1_835_395_200_000));
    }
}
