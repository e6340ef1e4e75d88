//! A clock that is not affected by steps of the system clock.
//!
//! Due times, event ages and lease expiries are compared with stored times, so they need wall-clock
//! time. A system clock that is set back by an hour would delay all retries by that hour; one that
//! is set forward would expire events too early. This clock starts at the system time, runs with
//! the monotonic clock, and slews: it runs a tenth faster or slower until the difference to the
//! system clock is gone.
//!
//! Times that other systems check are not taken from it, see [`super::Moment::wall`].

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use super::Moment;

/// The interval between comparisons with the system clock.
const INTERVAL: Duration = Duration::from_secs(10);

/// A change of the difference by more than this within [`INTERVAL`] is logged as a step of the
/// system clock.
const JUMP_MILLIS: u64 = 2000;

/// The slew rate: the clock runs faster or slower by one part in this many.
const SLEW: u64 = 10;

/// The start of a slew. All values are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    /// The monotonic clock, since the start of the process.
    elapsed: u64,
    /// The time of this clock at that point.
    time: u64,
    /// The lead of the system clock at that point; negative if it was behind.
    ahead: i64,
}

impl Anchor {
    /// The time at a later point of the monotonic clock.
    fn at(self, elapsed: u64) -> u64 {
        let since = elapsed.saturating_sub(self.elapsed);
        self.time.saturating_add(since).saturating_add_signed(self.corrected(since))
    }

    /// The part of the difference that is corrected after `since`.
    fn corrected(self, since: u64) -> i64 {
        let most = i64::try_from(since / SLEW).unwrap_or(i64::MAX);
        self.ahead.clamp(-most, most)
    }

    /// The next anchor, given that the system clock shows `wall`, and the size of its step since
    /// the last anchor.
    fn adjusted(self, elapsed: u64, wall: u64) -> (Self, Option<i64>) {
        let time = self.at(elapsed);
        let ahead = i64::try_from(wall).unwrap_or(i64::MAX).saturating_sub_unsigned(time);
        let expected = self.ahead - self.corrected(elapsed.saturating_sub(self.elapsed));
        let by = ahead.saturating_sub(expected);
        let jump = (by.unsigned_abs() > JUMP_MILLIS).then_some(by);
        (Self { elapsed, time, ahead }, jump)
    }
}

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

static ANCHOR: LazyLock<ArcSwap<Anchor>> = LazyLock::new(|| {
    let elapsed = elapsed();
    ArcSwap::from_pointee(Anchor { elapsed, time: Moment::wall().0, ahead: 0 })
});

fn elapsed() -> u64 {
    super::millis(BEGAN.elapsed())
}

/// The current time of this clock.
pub fn now() -> Moment {
    let anchor = **ANCHOR.load();
    Moment(anchor.at(elapsed()))
}

/// Slews towards the system clock. Never returns.
pub async fn follow() {
    loop {
        let (anchor, jump) = ANCHOR.load().adjusted(elapsed(), Moment::wall().0);
        ANCHOR.store(anchor.into());
        if let Some(by) = jump {
            tracing::warn!(
                by_seconds = by / 1000,
                "the system clock was set; deliveries keep their schedule while their clock adjusts"
            );
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const START: Anchor = Anchor { elapsed: 0, time: 1_800_000_000_000, ahead: 0 };

    /// Runs the clock for a number of comparisons, one every `every`, with the system clock off by
    /// `off` throughout. Returns the times, the steps, and the difference that is left.
    fn run(off: i64, every: u64, looks: u64) -> (Vec<u64>, Vec<i64>, i64) {
        let (mut anchor, mut times, mut jumps) = (START, vec![START.time], Vec::new());
        for elapsed in (1..=looks).map(|look| look * every) {
            let wall = (START.time + elapsed).saturating_add_signed(off);
            let (next, jump) = anchor.adjusted(elapsed, wall);
            anchor = next;
            times.push(anchor.time);
            jumps.extend(jump);
        }
        (times, jumps, anchor.ahead)
    }

    #[test]
    fn a_step_of_an_hour_is_noticed_once_and_made_up_for_in_ten_hours() {
        for off in [-HOUR, HOUR] {
            let (times, jumps, left) = run(off, 10_000, 360);
            assert_eq!(jumps, [off]);
            // After an hour, a tenth is corrected.
            let passed = times.last().unwrap() - START.time;
            assert_eq!(passed.abs_diff(HOUR as u64), 359_000, "{off}");
            assert_eq!(left, off - off.signum() * 359_000);
            let (_, jumps, left) = run(off, 10_000, 3602);
            assert_eq!((jumps, left), (vec![off], 0));
        }
    }

    #[test]
    fn a_small_drift_is_followed_and_not_logged() {
        assert_eq!(
            run(-500, 10_000, 2),
            (vec![START.time, START.time + 10_000, START.time + 19_500], vec![], 0)
        );
    }

    proptest! {
        #[test]
        fn time_never_goes_back_and_runs_by_a_tenth_faster_or_slower_at_most(
            steps in proptest::collection::vec((0..100_000_u64, any::<u64>()), 1..20),
            looks in proptest::collection::vec(1..10_000_u64, 1..20),
        ) {
            let (mut anchor, mut elapsed) = (START, 0);
            for (step, wall) in steps {
                elapsed += step;
                (anchor, _) = anchor.adjusted(elapsed, wall);
                let (mut before, mut at) = (anchor.time, elapsed);
                for look in &looks {
                    at += look;
                    let time = anchor.at(at);
                    let passed = time - before;
                    prop_assert!(passed.abs_diff(*look) <= look / SLEW + 1);
                    before = time;
                }
            }
        }
    }
}
