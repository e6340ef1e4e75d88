//! The moment of signing: read, and held against the present.

use std::time::Duration;

use super::Denied;

/// Where the provider says nothing else, in either direction.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// From here on a number counts milliseconds: as seconds it would be in the year 5138, as
/// milliseconds it is in 1973.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// Seconds since 1970 of a timestamp in decimal digits, of seconds or milliseconds.
pub(super) fn parse(text: &str) -> Result<u64, Denied> {
    // A sign is not a digit, although the parser of numbers takes one.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Denied::Malformed);
    }
    text.parse().map(seconds).map_err(|_| Denied::Malformed)
}

/// Seconds since 1970 of a number of seconds or milliseconds.
pub(super) fn seconds(number: u64) -> u64 {
    if number < MILLISECONDS_FROM { number } else { number / 1000 }
}

/// Whether two moments, in seconds since 1970, are no further apart than the tolerance.
pub(super) fn check(signed: u64, now: u64, tolerance: Duration) -> Result<(), Denied> {
    if now.saturating_sub(signed) > tolerance.as_secs() {
        return Err(Denied::Stale);
    }
    if signed.saturating_sub(now) > tolerance.as_secs() {
        return Err(Denied::Future);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        assert_eq!(parse("1614265330"), Ok(1_614_265_330));
        assert_eq!(parse("1614265330999"), Ok(1_614_265_330));
        assert_eq!(parse("0"), Ok(0));
    }

    #[test]
    fn what_is_not_all_digits_is_malformed() {
        for text in ["", "+1", "-1", "1.5", " 1", "1 ", "0x1", "1e9", "١", "99999999999999999999"]
        {
            assert_eq!(parse(text), Err(Denied::Malformed), "{text}");
        }
    }

    #[test]
    fn the_tolerance_holds_in_both_directions_and_includes_its_end() {
        let check = |signed| check(signed, 1000, Duration::from_secs(300));
        assert_eq!(check(700), Ok(()));
        assert_eq!(check(699), Err(Denied::Stale));
        assert_eq!(check(1300), Ok(()));
        assert_eq!(check(1301), Err(Denied::Future));
        assert_eq!(check(0), Err(Denied::Stale));
        assert_eq!(check(u64::MAX), Err(Denied::Future));
    }
}
