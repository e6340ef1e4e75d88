//! Parses the signing time of a request and compares it with the current time.

use std::time::Duration;

use super::Denied;

/// The tolerance in either direction, unless the provider documents another one.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// Numbers from here on are milliseconds: as seconds this one is in the year 5138, as milliseconds
/// in 1973.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// The form of a timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampFormat {
    /// Seconds or milliseconds since 1970; distinguished by the magnitude.
    #[default]
    Unix,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Date and time with an offset (RFC 3339), with up to nine digits of a second's fraction.
    Rfc3339,
}

impl TimestampFormat {
    /// Parses a timestamp to seconds since 1970.
    pub(super) fn parse(self, text: &str) -> Result<u64, Denied> {
        match self {
            Self::Unix => digits(text).map(seconds),
            Self::Seconds => digits(text),
            Self::Milliseconds => digits(text).map(|number| number / 1000),
            Self::Rfc3339 => rfc3339(text).ok_or(Denied::Malformed),
        }
    }

    /// Formats a time in seconds since 1970 as its sender would.
    pub(super) fn write(self, seconds: u64) -> String {
        match self {
            Self::Unix | Self::Seconds => seconds.to_string(),
            Self::Milliseconds => seconds.saturating_mul(1000).to_string(),
            Self::Rfc3339 => {
                let time = i64::try_from(seconds).map(jiff::Timestamp::from_second);
                // Cannot fail: the clock is before the year 9999.
                time.ok().and_then(Result::ok).unwrap_or_default().to_string()
            }
        }
    }
}

/// Parses decimal digits. `u64::from_str` alone accepts a leading plus sign.
fn digits(text: &str) -> Result<u64, Denied> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Denied::Malformed);
    }
    text.parse().map_err(|_| Denied::Malformed)
}

/// Parses a date and time. The form is checked here, as the library accepts more than RFC 3339,
/// section 5.6, such as a space for the `T`, no seconds, or the name of a time zone.
fn rfc3339(text: &str) -> Option<u64> {
    const LOCAL: &[u8] = b"0000-00-00T00:00:00";
    let (local, rest) = text.as_bytes().split_at_checked(LOCAL.len())?;
    let offset = match rest {
        [b'.', rest @ ..] => {
            let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            rest.get(len..).filter(|_| (1..=9).contains(&len))?
        }
        _ => rest,
    };
    let is_like = |form: &[u8], text: &[u8]| {
        let same = |(form, byte): (&u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            mark => byte == mark,
        };
        form.len() == text.len() && form.iter().zip(text).all(same)
    };
    let has_offset = offset == b"Z" || is_like(b"+00:00", offset) || is_like(b"-00:00", offset);
    if !has_offset || !is_like(LOCAL, local) {
        return None;
    }
    text.parse::<jiff::Timestamp>().ok()?.as_second().try_into().ok()
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
        for (format, text, seconds) in [
            (TimestampFormat::Unix, "1614265330", 1_614_265_330),
            (TimestampFormat::Unix, "1614265330999", 1_614_265_330),
            (TimestampFormat::Unix, "0", 0),
            (TimestampFormat::Seconds, "1614265330999", 1_614_265_330_999),
            (TimestampFormat::Milliseconds, "1614265330999", 1_614_265_330),
            (TimestampFormat::Milliseconds, "999", 0),
        ] {
            assert_eq!(format.parse(text), Ok(seconds), "{format:?} {text}");
        }
    }

    #[test]
    fn what_is_not_all_digits_is_malformed() {
        for text in ["", "+1", "-1", "1.5", " 1", "1 ", "0x1", "1e9", "١", "99999999999999999999"]
        {
            for format in [
                TimestampFormat::Unix,
                TimestampFormat::Seconds,
                TimestampFormat::Milliseconds,
                TimestampFormat::Rfc3339,
            ] {
                assert_eq!(format.parse(text), Err(Denied::Malformed), "{format:?} {text}");
            }
        }
    }

    #[test]
    fn a_date_and_time_has_the_form_of_rfc_3339() {
        let parse = |text| TimestampFormat::Rfc3339.parse(text).ok();
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.9Z",
            "2026-01-01T00:00:00.123456789Z",
            "2026-01-01T00:00:00+00:00",
            "2025-12-31T19:30:00-04:30",
            "2026-01-01T09:00:00.000+09:00",
        ] {
            assert_eq!(parse(text), Some(1_767_225_600), "{text}");
        }
        for text in [
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00+0000",
            "2026-01-01T00:00:00Z[UTC]",
            "2026-01-01T00:00:00+01",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "+002026-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "20260101T000000Z",
            "2026-01-01T00:00:00Zé",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for (format, text) in [
            (TimestampFormat::Unix, "1700000000"),
            (TimestampFormat::Seconds, "1700000000"),
            (TimestampFormat::Milliseconds, "1700000000000"),
            (TimestampFormat::Rfc3339, "2023-11-14T22:13:20Z"),
        ] {
            assert_eq!(format.write(1_700_000_000), text);
            assert_eq!(format.parse(text), Ok(1_700_000_000));
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
