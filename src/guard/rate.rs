//! The rate limit of a webhook.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A rate limit by the generic cell rate algorithm (ITU-T I.371), which needs no timer and stores
/// one number. Clones share their state.
pub struct RateLimit<C: Clock = DefaultClock> {
    quota: Quota,
    limiter: Arc<Limiter<C>>,
}

impl RateLimit {
    /// Allows `per_second` on average, and `burst` at once.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::with_clock(per_second, burst, DefaultClock::default())
    }
}

impl<C: Clock> RateLimit<C> {
    fn with_clock(per_second: NonZeroU32, burst: NonZeroU32, clock: C) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self { quota, limiter: Arc::new(RateLimiter::direct_with_clock(quota, clock)) }
    }

    /// The average rate per minute.
    pub fn per_minute(&self) -> u32 {
        let interval = self.quota.replenish_interval().as_nanos().max(1);
        u32::try_from(60_000_000_000 / interval).unwrap_or(u32::MAX)
    }

    /// Takes one permit.
    ///
    /// # Errors
    /// The time until a permit is available.
    pub fn take(&self) -> Result<(), Duration> {
        self.limiter
            .check()
            .map_err(|not_until| not_until.wait_time_from(self.limiter.clock().now()))
    }
}

impl<C: Clock> Clone for RateLimit<C> {
    fn clone(&self) -> Self {
        Self { quota: self.quota, limiter: self.limiter.clone() }
    }
}

/// Compares the configuration only: the used permits are not part of a plan.
impl<C: Clock> PartialEq for RateLimit<C> {
    fn eq(&self, other: &Self) -> bool {
        self.quota == other.quota
    }
}

impl<C: Clock> fmt::Debug for RateLimit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limit(per_second: u32, burst: u32) -> (RateLimit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let number = |number| NonZeroU32::new(number).unwrap();
        (RateLimit::with_clock(number(per_second), number(burst), clock.clone()), clock)
    }

    #[test]
    fn the_burst_is_taken_at_once_and_the_rest_at_its_rate() {
        let (limit, clock) = limit(2, 3);
        (0..3).for_each(|_| limit.take().unwrap());
        assert_eq!(limit.take(), Err(Duration::from_millis(500)));
        clock.advance(Duration::from_millis(499));
        assert_eq!(limit.take(), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        limit.take().unwrap();
        assert_eq!(limit.take(), Err(Duration::from_millis(500)), "what is refused costs nothing");
        clock.advance(Duration::from_secs(3600));
        (0..3).for_each(|_| limit.take().unwrap());
        assert!(limit.take().is_err(), "no more is saved up than the burst");
    }

    #[test]
    fn clones_count_together() {
        let (limit, _) = limit(1, 2);
        limit.take().unwrap();
        limit.clone().take().unwrap();
        assert!(limit.take().is_err());
    }

    #[test]
    fn limits_are_the_same_whatever_was_used_of_them() {
        let (used, _) = limit(1, 2);
        used.take().unwrap();
        assert_eq!(used, limit(1, 2).0);
        assert_ne!(used, limit(1, 3).0);
        assert_ne!(used, limit(2, 2).0);
    }
}
