//! Computes medians and formats figures.

use std::time::Duration;

/// The median; for an even number of figures, the lower of the middle two.
pub(crate) fn median<T: Copy + PartialOrd>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("a figure is a number"));
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Milliseconds, with more digits for small figures.
pub(crate) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.0}") }
}

pub(crate) fn mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

pub(crate) fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// The text in place of a figure that was not measured.
pub(crate) const NONE: &str = "-";

/// A figure as text, if there is one.
pub(crate) fn shown<T>(figure: Option<T>, show: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| NONE.to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.0));
        assert_eq!(median(Vec::<u8>::new()), None);
    }

    #[test]
    fn small_times_are_shown_with_decimals() {
        assert_eq!(ms(Duration::from_micros(4_236)), "4.24");
        assert_eq!(ms(Duration::from_micros(131_700)), "132");
    }
}
