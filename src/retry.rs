//! When a delivery that failed is tried again, and when it is given up. Pure: the time and the chance
//! of the jitter are parameters.

use std::time::Duration;

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
