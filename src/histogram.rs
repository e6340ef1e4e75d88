//! Lock-free histograms of durations and sizes.
//!
//! Own code instead of the histogram of `prometheus-client`, which takes a lock for each value.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets of durations, in nanoseconds: from 100 us to the longest timeout of
/// a listener.
const TIMES: [u64; 19] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
];

/// Upper bounds of the buckets of numbers.
const NUMBERS: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// A Prometheus histogram. Recording is wait-free; a reader may see a value in its bucket before it
/// is in the sum.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// The number of recorded units per exported unit, such as nanoseconds per second.
    scale: f64,
    /// One per bound, and a last one without a bound.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// The values of a histogram at one point in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The sum of all values.
    pub sum: f64,
    /// The number of values.
    pub count: u64,
    /// The upper bound of each bucket, and the number of values that are in it but in no lower
    /// bucket.
    pub buckets: Vec<(f64, u64)>,
}

impl Snapshot {
    /// Adds the values of another histogram with the same buckets.
    pub fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
        for (bucket, (_, count)) in self.buckets.iter_mut().zip(&other.buckets) {
            bucket.1 += count;
        }
    }
}

impl Histogram {
    /// A histogram of durations, exported in seconds.
    pub fn of_times() -> Self {
        Self::new(&TIMES, 1e9)
    }

    /// A histogram of numbers.
    pub fn of_numbers() -> Self {
        Self::new(&NUMBERS, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, scale, buckets, sum: AtomicU64::new(0) }
    }

    /// Records a duration.
    pub fn time(&self, took: Duration) {
        self.number(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Records a number.
    pub fn number(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// The values recorded so far.
    pub fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / self.scale);
        let bounds = bounds.chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        Snapshot {
            sum: self.sum.load(Relaxed) as f64 / self.scale,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::of_numbers();
        [0, 1, 2, 3, 1024, 1025].into_iter().for_each(|value| histogram.number(value));
        let Snapshot { sum, count, buckets } = histogram.snapshot();
        assert_eq!((sum, count), (2055.0, 6));
        let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((buckets[2].0, buckets[11].0), (4.0, f64::INFINITY));
    }

    #[test]
    fn times_are_shown_in_seconds() {
        let histogram = Histogram::of_times();
        histogram.time(Duration::from_millis(2));
        histogram.time(Duration::from_secs(1000));
        let Snapshot { sum, count, buckets } = histogram.snapshot();
        assert!((sum - 1000.002).abs() < 1e-9, "{sum}");
        assert_eq!(count, 2);
        assert!((buckets[4].0 - 0.0025).abs() < 1e-12);
        assert_eq!((buckets[4].1, buckets[19].1), (1, 1));
    }
}
