//! A clock that neither stands still nor jumps when the system's clock is set.
//!
//! What is due, how old an event is and when a lease ends are compared with stored times, so they need a time of day.
//! The system's clock may be set back by an hour, which would delay all retries by that hour, or forward, which
//! would give events up before their time. This clock starts with the system's time, runs with the monotonic
//! clock, and makes up for a difference by running a tenth faster or slower until there is none.
//!
//! Times that others check are not taken from it: see [`super::Moment::wall`].

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use super::Moment;

/// How often the difference is looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// A difference that changes by more than this within [`INTERVAL`] is logged: the clock was set.
const JUMP_MILLIS: u64 = 2000;

/// The clock runs by one part in so many faster or slower.
const SLEW: u64 = 10;

/// From when on the clock runs, and what it makes up for. In milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    /// Of the monotonic clock, since the process began.
    elapsed: u64,
    /// The time then.
    time: u64,
    /// How far the system's clock was ahead then; negative when it was behind.
    ahead: i64,
}

impl Anchor {
    /// The time at a later point of the monotonic clock.
    fn at(self, elapsed: u64) -> u64 {
        let since = elapsed.saturating_sub(self.elapsed);
        self.time.saturating_add(since).saturating_add_signed(self.made_up(since))
    }

    /// How much of the difference is made up for after so long.
    fn made_up(self, since: u64) -> i64 {
        let most = i64::try_from(since / SLEW).unwrap_or(i64::MAX);
        self.ahead.clamp(-most, most)
    }

    /// The anchor for a system's clock that shows `wall` now, and by how much it was set since the last one.
    fn adjusted(self, elapsed: u64, wall: u64) -> (Self, Option<i64>) {
        let time = self.at(elapsed);
        let ahead = i64::try_from(wall).unwrap_or(i64::MAX).saturating_sub_unsigned(time);
        let expected = self.ahead - self.made_up(elapsed.saturating_sub(self.elapsed));
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

/// The time by this clock.
pub fn now() -> Moment {
    let anchor = **ANCHOR.load();
    Moment(anchor.at(elapsed()))
}

/// Follows the system's clock for ever.
pub async fn follow() {
    loop {
        let (anchor, jump) = ANCHOR.load().adjusted(elapsed(), Moment::wall().0);
        ANCHOR.store(anchor.into());
        if let Some(by) = jump {
            tracing::warn!(
                by_seconds = by / 1000,
                "the system clock was set; deliveries keep their schedule, and their times follow slowly"
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

    /// The clock after each of so many looks, of which each comes `every` after the one before; the system's clock
    /// is off by `off` all the time. Returns the times, the jumps, and what is still to be made up for.
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
            // After an hour, a tenth is made up for.
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
