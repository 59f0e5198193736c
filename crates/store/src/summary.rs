//! Numbers over time, summed up by stretches.

use std::collections::BTreeMap;

use crate::{Sample, Summary};

/// The summaries of a time range, while its values come.
#[derive(Debug)]
pub(crate) struct Sums {
    step: u64,
    sums: BTreeMap<u64, Sum>,
}

impl Sums {
    /// For stretches of so many milliseconds.
    pub(crate) fn new(step: u64) -> Self {
        Self { step: step.max(1), sums: BTreeMap::new() }
    }

    /// What is no number, or not finite, does not count.
    pub(crate) fn add(&mut self, at: u64, value: &Sample) {
        let number = match value {
            Sample::Integer(number) => *number as f64,
            Sample::Float(number) => *number,
            Sample::Text(_) | Sample::Opaque(_) => return,
        };
        if number.is_finite() {
            self.sums.entry(at / self.step * self.step).or_default().add(number);
        }
    }

    /// One for each stretch in which there are numbers, the oldest first.
    pub(crate) fn summaries(self) -> Vec<Summary> {
        self.sums.into_iter().map(|(at, sum)| sum.summary(at)).collect()
    }
}

/// The numbers of one stretch of time.
#[derive(Clone, Copy, Debug)]
struct Sum {
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0 }
    }
}

impl Sum {
    /// The mean is carried along, since a sum of large numbers may be infinite.
    fn add(&mut self, number: f64) {
        self.count += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        let count = self.count as f64;
        self.mean += number / count - self.mean / count;
    }

    fn summary(self, at: u64) -> Summary {
        let Self { count, min, max, mean } = self;
        Summary { at, count, min, max, mean }
    }
}
