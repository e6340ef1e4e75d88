//! Parses the signing time of a request and compares it with the current time.

use std::time::Duration;

use super::Denied;

/// The tolerance in either direction, unless the provider documents another one.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// Numbers from here on are milliseconds: as seconds this one is in the year 5138, as milliseconds
/// in 1973.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// Parses a timestamp of decimal digits, in seconds or milliseconds, to seconds since 1970.
pub(super) fn parse(text: &str) -> Result<u64, Denied> {
    // `u64::from_str` accepts a leading plus sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Denied::Malformed);
    }
    text.parse().map(seconds).map_err(|_| Denied::Malformed)
}

/// Converts a number of seconds or milliseconds to seconds since 1970.
pub(super) fn seconds(number: u64) -> u64 {
    if number < MILLISECONDS_FROM { number } else { number / 1000 }
}

/// Checks that two times, in seconds since 1970, differ by no more than the tolerance.
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
    fn seconds_and_milliseconds_are_distinguished() {
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
