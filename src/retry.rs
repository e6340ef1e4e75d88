//! Retries of failed deliveries: when to try again and when to give up. Pure: the time and the
//! random value for the jitter are parameters.

mod decide;
mod next;
mod retry_after;

use std::time::Duration;

pub use decide::{Outcome, decide, is_listener_failing};
pub use next::{DeadReason, Next};
pub use retry_after::{LONGEST_RETRY_AFTER, retry_after};
use serde::{Deserialize, Serialize};

/// The retry policy of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The waits between attempts.
    pub backoff: Backoff,
    /// The relative jitter of a wait: 0.2 is 20 % more or less.
    pub jitter: f64,
    /// The maximum number of attempts; 1 or more.
    pub max_attempts: u32,
    /// The maximum age of a delivery since it was accepted or replayed.
    pub max_age: Option<Duration>,
}

/// The waits between attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Backoff {
    /// A list of waits; the last one repeats. Never empty.
    Schedule(Box<[Duration]>),
    /// Each wait is the previous one times a factor, up to a maximum.
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
    /// The wait after the failed attempt `number` (from 1). `chance` selects the jitter, from -1
    /// for the shortest wait to 1 for the longest.
    pub fn wait(&self, number: u32, chance: f64) -> Duration {
        let chance = if chance.is_nan() { 0.0 } else { chance.clamp(-1.0, 1.0) };
        multiply(self.backoff.wait(number), 1.0 + self.jitter.clamp(0.0, 1.0) * chance)
    }
}

impl Backoff {
    /// The wait after attempt `number`, from 1, without jitter.
    fn wait(&self, number: u32) -> Duration {
        let before = number.saturating_sub(1);
        match self {
            Self::Schedule(waits) => {
                let wait = waits.get(before as usize).or(waits.last());
                wait.copied().unwrap_or_default()
            }
            Self::Exponential { initial, multiplier, max } => {
                let steps = i32::try_from(before).unwrap_or(i32::MAX);
                multiply(*initial, multiplier.max(1.0).powi(steps)).min(*max)
            }
        }
    }
}

/// Multiplies a duration; saturates at [`Duration::MAX`].
fn multiply(time: Duration, factor: f64) -> Duration {
    // Zero times infinity is NaN.
    if time.is_zero() {
        return time;
    }
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
