//! The bare cost of some work, in the running thread.

use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};

/// Bytes between two looks at the clock, which costs as much as some hundred bytes do.
const BYTES_PER_LOOK: usize = 1 << 20;

/// CPU microseconds of one piece of work on `len` bytes, over as many as `seconds` hold.
///
/// It keeps the thread busy. The bytes are in the caches, as far as they have room there.
pub fn cpu_us(len: usize, seconds: f64, mut work: impl FnMut()) -> Result<f64> {
    let at_once = (BYTES_PER_LOOK / len.max(1)).max(1);
    let at_once = u32::try_from(at_once)?;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let before = thread_cpu()?;
    let mut made = 0;
    while made == 0 || Instant::now() < until {
        for _ in 0..at_once {
            work();
        }
        made += at_once;
    }
    let spent = thread_cpu()?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / f64::from(made))
}

/// CPU time of the running thread, by the scheduler's exact clock.
fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::ThreadCPUTime).try_into()?)
}
