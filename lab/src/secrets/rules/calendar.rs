//! The calendar that schedules need: UTC days as year, month, day and weekday.

use crate::secrets::moment::Moment;

/// A UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    /// Days since 1970-01-01.
    number: u64,
    month: u32,
    day: u32,
}

impl Day {
    /// The day of a moment, found by counting years and months from 1970.
    pub(super) fn of(at: Moment) -> Self {
        let number = at.0 / Moment::DAY;
        let (mut rest, mut year) = (number, 1970);
        while rest >= days_in_year(year) {
            rest -= days_in_year(year);
            year += 1;
        }
        let mut month = 1;
        while rest >= u64::from(days_in_month(year, month)) {
            rest -= u64::from(days_in_month(year, month));
            month += 1;
        }
        let day = u32::try_from(rest).expect("a month has at most 31 days") + 1;
        Self { number, month, day }
    }

    pub(super) fn next(self) -> Self {
        Self::of(Moment(self.start().0 + Moment::DAY))
    }

    pub(super) fn start(self) -> Moment {
        Moment(self.number * Moment::DAY)
    }

    /// 1 to 12.
    pub(super) fn month(self) -> u32 {
        self.month
    }

    /// 1 to 31.
    pub(super) fn day(self) -> u32 {
        self.day
    }

    /// 1 for Sunday to 7 for Saturday, as in schedule expressions. 1970-01-01 was a Thursday.
    pub(super) fn weekday(self) -> u32 {
        u32::try_from((self.number + 4) % 7).expect("a remainder of 7") + 1
    }

    pub(super) fn is_last_of_month(self) -> bool {
        self.next().day == 1
    }

    /// Whether no later day of the month has the same weekday.
    pub(super) fn is_last_weekday(self) -> bool {
        (1..=7).try_fold(self, |day, _| (!day.is_last_of_month()).then(|| day.next())).is_none()
    }

    /// How many days of this weekday the month has had, including this one.
    pub(super) fn nth_weekday(self) -> u32 {
        (self.day - 1) / 7 + 1
    }
}

fn days_in_year(year: u64) -> u64 {
    (1..=12).map(|month| u64::from(days_in_month(year, month))).sum()
}

fn days_in_month(year: u64, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
