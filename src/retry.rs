//! When a delivery that failed is tried again, and when it is given up. Pure: the time and the chance
//! of the jitter are parameters.

mod decide;
mod next;
mod retry_after;

use std::time::Duration;

pub use decide::{Outcome, decide, is_listener_failing};
pub use next::{Next, Reason};
pub use retry_after::{LONGEST_RETRY_AFTER, retry_after};
use serde::{Deserialize, Serialize};

/// How the attempts of a delivery follow each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The waits between attempts.
    pub backoff: Backoff,
    /// How far a wait may differ from what the backoff says: 0.2 is 20 % more or less.
    pub jitter: f64,
    /// How many attempts there are at most; 1 or more.
    pub max_attempts: u32,
    /// For how long after it was accepted (or replayed) a delivery is attempted.
    pub max_age: Option<Duration>,
}

/// The waits between attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Backoff {
    /// One after the other; the last one is used again. Never empty.
    Schedule(Box<[Duration]>),
    /// Each as long as the one before times a factor, up to a longest one.
    Exponential {
        /// The first wait.
        initial: Duration,
        /// The factor, 1 or more.
        multiplier: f64,
        /// The longest wait.
        max: Duration,
    },
}

/// The default of Standard Webhooks: 5s, 5m, 30m, 2h, 5h, 10h, 10h, each 20 % more or less.
impl Default for Policy {
    fn default() -> Self {
        let seconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
        let schedule: Box<[_]> = seconds.map(Duration::from_secs).into();
        let max_attempts = schedule.len() as u32 + 1;
        Self { backoff: Backoff::Schedule(schedule), jitter: 0.2, max_attempts, max_age: None }
    }
}

impl Policy {
    /// The wait after an attempt that failed, whose number is given (from 1). `chance` is where in its
    /// jitter the wait is to be: from -1, the shortest, to 1, the longest.
    pub fn wait(&self, number: u32, chance: f64) -> Duration {
        let chance = if chance.is_nan() { 0.0 } else { chance.clamp(-1.0, 1.0) };
        times(self.backoff.wait(number), 1.0 + self.jitter.clamp(0.0, 1.0) * chance)
    }
}

impl Backoff {
    /// The wait after the attempt of a number, from 1.
    fn wait(&self, number: u32) -> Duration {
        let before = number.saturating_sub(1);
        match self {
            Self::Schedule(waits) => {
                let wait = waits.get(before as usize).or(waits.last());
                wait.copied().unwrap_or_default()
            }
            Self::Exponential { initial, multiplier, max } => {
                let steps = i32::try_from(before).unwrap_or(i32::MAX);
                times(*initial, multiplier.max(1.0).powi(steps)).min(*max)
            }
        }
    }
}

/// A time taken so many times; the longest there is when that is too long to be written.
fn times(time: Duration, factor: f64) -> Duration {
    // Zero times infinity is no number, and still no time.
    if time.is_zero() {
        return time;
    }
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
