//! The bare cost of HMAC-SHA256, in the running thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use ring::hmac::{self, Key};
use rustix::time::{ClockId, clock_gettime};

/// Bytes between two looks at the clock, which costs as much as some hundred bytes do.
const BYTES_PER_LOOK: usize = 1 << 20;

/// CPU microseconds of one HMAC of `body`, over as many as `seconds` hold, with a prepared key, as
/// the operator has it.
///
/// It keeps the thread busy. The body is in the caches, as far as it has room there.
pub fn cpu_us(key: &Key, body: &[u8], seconds: f64) -> Result<f64> {
    let at_once = (BYTES_PER_LOOK / body.len().max(1)).max(1);
    let at_once = u32::try_from(at_once)?;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let before = thread_cpu()?;
    let mut made = 0;
    while made == 0 || Instant::now() < until {
        for _ in 0..at_once {
            black_box(hmac::sign(key, black_box(body)));
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

#[cfg(test)]
mod tests {
    use super::cpu_us;
    use crate::github;

    #[test]
    fn a_body_of_any_size_has_a_cost() {
        for size in [1024, 3 << 20] {
            assert!(cpu_us(&github::key(), &vec![b'x'; size], 0.0).unwrap() > 0.0);
        }
    }
}
