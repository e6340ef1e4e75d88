//! Parses a time given as such, or as a duration before now. Pure.

use std::time::Duration;

use crate::moment::Moment;
use crate::plan::duration;

/// Parses an RFC 3339 time, or a duration before `now` such as `15m`, `24h` or `7d`.
///
/// # Errors
/// The second half of a sentence that starts with the name of the field.
pub fn since(text: &str, now: Moment) -> Result<Moment, String> {
    let ago = || match text.strip_suffix('d') {
        Some(days) => days.parse::<u32>().ok().map(days_long),
        None => duration::parse(text),
    };
    let found = Moment::parse(text).or_else(|| ago().map(|ago| now - ago));
    found.ok_or_else(|| {
        "must be a time such as 2026-11-24T15:00:00Z, or a duration such as 15m, 24h or 7d".into()
    })
}

fn days_long(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_or_a_duration_before_now() {
        let now = Moment(1_000_000_000_000);
        let day = 86_400_000;
        for (text, moment) in [
            ("1970-01-01T00:00:01Z", 1_000),
            ("15m", now.0 - 900_000),
            ("1h30m", now.0 - 5_400_000),
            ("7d", now.0 - 7 * day),
            ("4294967295d", 0),
        ] {
            assert_eq!(since(text, now), Ok(Moment(moment)), "{text}");
        }
        for text in ["", "d", "-1d", "1.5d", "yesterday", "15", "4294967296d"] {
            assert!(since(text, now).is_err(), "{text}");
        }
    }
}
