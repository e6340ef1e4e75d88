//! How long to wait before the next fetch; each wait is drawn, so that replicas do not come at once.

use std::time::Duration;

use crate::backoff;

/// The wait after the first failure is drawn from the upper half of this.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The wait after a number of failures in a row (1 or more): 5 to 10 s, then twice that, and so on
/// up to 5 min.
pub fn after_failures(failures: u32) -> Duration {
    backoff::delay(FIRST, failures, LONGEST)
}

/// The wait before an answer is fetched anew: a part of its lifetime, so that it is there in time.
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
    fn an_answer_is_fetched_anew_before_its_end() {
        for _ in 0..100 {
            let wait = before_end_of(Duration::from_secs(1000)).as_secs_f64();
            assert!((809.9..=900.1).contains(&wait), "{wait}");
        }
    }
}
