//! Delays before the next fetch. They are random, so that replicas do not fetch at the same time.

use std::time::Duration;

use crate::backoff;

/// Maximum delay after the first failure; the actual one is random, at least half of it.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The delay after a number of consecutive failures (1 or more): 5 to 10 s, doubled with each
/// further failure, at most 5 min.
pub fn after_failures(failures: u32) -> Duration {
    backoff::delay(FIRST, failures, LONGEST)
}

/// The delay before a set is fetched again: a random 81 % to 90 % of its lifetime, so that the new
/// set arrives before the old one expires.
pub fn before_end_of(lifetime: Duration) -> Duration {
    backoff::spread(lifetime.mul_f64(0.9), 0.9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_between_5_seconds_and_5_minutes() {
        for (failures, most) in [(1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (u32::MAX, 300)] {
            for _ in 0..100 {
                let wait = after_failures(failures).as_secs_f64();
                let most = f64::from(most);
                assert!((most / 2.0..=most).contains(&wait), "{failures}: {wait}");
            }
        }
    }

    #[test]
    fn a_set_is_fetched_again_before_it_expires() {
        for _ in 0..100 {
            let wait = before_end_of(Duration::from_secs(1000)).as_secs_f64();
            assert!((809.9..=900.1).contains(&wait), "{wait}");
        }
    }
}
