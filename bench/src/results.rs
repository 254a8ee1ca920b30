//! The measurements of a run, and the figures computed from them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::count::Count;
use crate::figures::{median, ratio};
use crate::measure::{Life, Rotation};
use crate::plan::CASES;
use crate::subject::Side;

/// The measurements of one run.
#[derive(Default)]
pub(crate) struct Results {
    /// By case, latency in milliseconds, and side.
    pub(crate) lives: BTreeMap<(usize, u64, Side), Vec<Life>>,
    pub(crate) counts: BTreeMap<(usize, Side), Count>,
    /// Time to ready and memory of the floor.
    pub(crate) floor: Vec<(Duration, u64)>,
    /// Instructions of a start, by package.
    pub(crate) instructions: BTreeMap<&'static str, u64>,
    pub(crate) zips: BTreeMap<&'static str, u64>,
    /// The machine's load at the start.
    pub(crate) load: f64,
    pub(crate) took: Duration,
}

impl Results {
    /// The measured processes of a case at a latency.
    fn lives(&self, case: usize, ms: u64, side: Side) -> &[Life] {
        self.lives.get(&(case, ms, side)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn cold(&self, case: usize, ms: u64, side: Side) -> Option<Duration> {
        median(self.lives(case, ms, side).iter().map(|life| life.cold))
    }

    pub(crate) fn warm(&self, case: usize, ms: u64, side: Side) -> Option<Duration> {
        self.of_warm(case, ms, side, Rotation::took)
    }

    pub(crate) fn warm_step(&self, case: usize, ms: u64, side: Side, step: usize) -> Option<Duration> {
        self.of_warm(case, ms, side, |rotation| rotation.steps[step])
    }

    pub(crate) fn cold_step(&self, case: usize, ms: u64, side: Side, step: usize) -> Option<Duration> {
        median(self.lives(case, ms, side).iter().map(|life| life.first.steps[step]))
    }

    fn of_warm(
        &self,
        case: usize,
        ms: u64,
        side: Side,
        figure: impl Fn(&Rotation) -> Duration,
    ) -> Option<Duration> {
        median(self.lives(case, ms, side).iter().flat_map(|life| life.warm.iter().map(&figure)))
    }

    /// Processor time of the first rotation with the start, and of a warm one, over all latencies, because latency does not change it.
    pub(crate) fn processor(&self, case: usize, side: Side) -> Option<(Duration, Duration)> {
        let lives = || self.of_case(case, side);
        let first = median(lives().map(|life| life.first.processor))?;
        Some((first, median(lives().flat_map(|life| life.warm.iter().map(|warm| warm.processor)))?))
    }

    /// The time to ready of our function with this name, or of AWS's function in its place.
    pub(crate) fn ready(&self, package: &str, side: Side) -> Option<Duration> {
        median(self.of_package(package, side).map(|life| life.ready))
    }

    pub(crate) fn memory(&self, package: &str, side: Side) -> Option<u64> {
        median(self.of_package(package, side).map(|life| life.memory))
    }

    pub(crate) fn floor_ready(&self) -> Option<Duration> {
        median(self.floor.iter().map(|(ready, _)| *ready))
    }

    pub(crate) fn floor_memory(&self) -> Option<u64> {
        median(self.floor.iter().map(|(_, memory)| *memory))
    }

    fn of_case(&self, case: usize, side: Side) -> impl Iterator<Item = &Life> {
        self.lives
            .iter()
            .filter(move |((at, _, whose), _)| (*at, *whose) == (case, side))
            .flat_map(|(_, lives)| lives)
    }

    fn of_package(&self, package: &str, side: Side) -> impl Iterator<Item = &Life> {
        let lives = self.lives.iter();
        let lives = lives.filter(move |((at, _, whose), _)| CASES[*at].package == package && *whose == side);
        lives.flat_map(|(_, lives)| lives)
    }

    /// Our figure divided by theirs.
    pub(crate) fn against(&self, figure: impl Fn(&Results, Side) -> Option<Duration>) -> Option<f64> {
        Some(ratio(figure(self, Side::Ours)?, figure(self, Side::Theirs)?))
    }
}
