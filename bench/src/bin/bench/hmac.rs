//! The bare cost of HMAC-SHA256, in the running thread.

use std::hint::black_box;

use anyhow::Result;
use ring::hmac::{self, Key};

use crate::alone;

/// CPU microseconds of one HMAC of `body`, over as many as `seconds` hold, with a prepared key, as
/// the operator has it.
pub fn cpu_us(key: &Key, body: &[u8], seconds: f64) -> Result<f64> {
    alone::cpu_us(body.len(), seconds, || {
        black_box(hmac::sign(key, black_box(body)));
    })
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
