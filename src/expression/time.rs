//! Timestamps and durations (cel-spec, "Timestamps" and "Durations").

use std::fmt::Write;

use jiff::tz::{Offset, TimeZoneDatabase};

use super::EvaluationError;
use super::error::Result;
use super::value::Value;

const SECOND: i128 = 1_000_000_000;

const DAY: i64 = 86_400;

/// The first second of the year 1 and the last one of the year 9999, since the Unix epoch.
const TIMESTAMPS: (i64, i64) = (-62_135_596_800, 253_402_300_799);

/// A number of seconds and nanoseconds. The nanoseconds are less than a second and count forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    seconds: i64,
    nanoseconds: u32,
}

impl Time {
    /// A whole number of seconds.
    pub fn of_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// The time of a clock.
    pub fn of_clock(now: jiff::Timestamp) -> Self {
        Self::of_total(now.as_nanosecond()).unwrap_or(Self::of_seconds(0))
    }

    /// A number of nanoseconds; `None` if it exceeds the range.
    fn of_total(nanoseconds: i128) -> Option<Self> {
        let seconds = i64::try_from(nanoseconds.div_euclid(SECOND)).ok()?;
        let nanoseconds = u32::try_from(nanoseconds.rem_euclid(SECOND)).ok()?;
        Some(Self { seconds, nanoseconds })
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * SECOND + i128::from(self.nanoseconds)
    }

    /// Rounded towards the past.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Rounded towards zero.
    pub fn whole_seconds(self) -> i64 {
        i64::try_from(self.total() / SECOND).unwrap_or(self.seconds)
    }

    /// The milliseconds of the second, with the sign of the time.
    pub fn milliseconds(self) -> i64 {
        i64::try_from(self.total() % SECOND / 1_000_000).unwrap_or(0)
    }

    /// Whether the time is zero.
    pub fn is_zero(self) -> bool {
        self == Self::of_seconds(0)
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::of_total(self.total() + other.total())
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Option<Self> {
        Self::of_total(self.total() - other.total())
    }
}

/// A timestamp, if it is in the range of timestamps.
pub fn timestamp<'a>(time: Option<Time>) -> Result<Value<'a>> {
    let is_right = |time: &Time| (TIMESTAMPS.0..=TIMESTAMPS.1).contains(&time.seconds);
    let time = time.filter(is_right).ok_or(EvaluationError::Invalid("timestamp out of range"))?;
    Ok(Value::Timestamp(time))
}

/// A duration, if it is in the range of durations: as in Kubernetes, 64 bits of nanoseconds, about
/// 292 years.
pub fn duration<'a>(time: Option<Time>) -> Result<Value<'a>> {
    let is_right = |time: &Time| i64::try_from(time.total()).is_ok();
    let time = time.filter(is_right).ok_or(EvaluationError::Invalid("duration out of range"))?;
    Ok(Value::Duration(time))
}

/// Reads a timestamp as RFC 3339, section 5.6, writes it.
pub fn read_timestamp<'a>(text: &str) -> Result<Value<'a>> {
    timestamp(Some(rfc3339(text).ok_or(EvaluationError::Invalid("not a timestamp (RFC 3339)"))?))
}

fn rfc3339(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| number(text.get(from..to)?);
    let is_at = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let has_separators = is_at(4, b"-") && is_at(7, b"-") && is_at(10, b"T") && is_at(13, b":");
    if !has_separators || !is_at(16, b":") {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let days_of_month = i64::from(
        jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1)
            .ok()?
            .days_in_month(),
    );
    if !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = text.get(19..)?;
    let (nanoseconds, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let len = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, rest) = rest.split_at(len);
            (fraction_of_second(fraction)?, rest)
        }
        None => (0, rest),
    };
    let offset = if rest == "Z" { 0 } else { offset(rest)? };
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    Some(Time { seconds, nanoseconds })
}

/// Decimal digits.
fn number(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// The nanoseconds of the digits after the decimal point: at most nine.
fn fraction_of_second(digits: &str) -> Option<u32> {
    let missing = 9_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    u32::try_from(number(digits)?).ok()?.checked_mul(10_u32.checked_pow(missing)?)
}

/// The seconds of an offset such as `+02:00`.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let is_right = hours.len() == 2 && minutes.len() == 2;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (is_right && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The days from the Unix epoch to a date of the Gregorian calendar. Years begin with March, so that
/// leap days are at their end.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let cycle = year.rem_euclid(400);
    year.div_euclid(400) * 146_097 + cycle * 365 + cycle / 4 - cycle / 100 + day_of_year - 719_468
}

/// The date of a number of days since the Unix epoch.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month, day)
}

/// Writes a timestamp as RFC 3339, in UTC.
pub fn write_timestamp(time: Time) -> String {
    let (year, month, day) = date(time.seconds.div_euclid(DAY));
    let second = time.seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    write_fraction(&mut text, time.nanoseconds);
    text.push('Z');
    text
}

/// Writes a duration in seconds, such as `-1.5s`.
pub fn write_duration(time: Time) -> String {
    let total = time.total();
    let sign = if total < 0 { "-" } else { "" };
    let mut text = format!("{sign}{}", total.abs() / SECOND);
    write_fraction(&mut text, u32::try_from(total.abs() % SECOND).unwrap_or(0));
    text.push('s');
    text
}

fn write_fraction(text: &mut String, nanoseconds: u32) {
    if nanoseconds > 0 {
        // Writing to a string cannot fail.
        let _ = write!(text, ".{nanoseconds:09}");
        text.truncate(text.trim_end_matches('0').len());
    }
}

/// Reads a duration such as `1h30m`, `-1.5s` or `0`.
pub fn read_duration<'a>(text: &str) -> Result<Value<'a>> {
    /// Longer texts would have needless digits.
    const LENGTH: usize = 100;
    let invalid = EvaluationError::Invalid("not a duration, such as 1h30m or 1.5s");
    if text.len() > LENGTH {
        return Err(invalid);
    }
    let (is_negative, rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let total = if rest == "0" { Some(0) } else { total_of_units(rest) };
    let total = total.ok_or(invalid)?;
    duration(Time::of_total(if is_negative { -total } else { total }))
}

fn total_of_units(mut rest: &str) -> Option<i128> {
    let mut total = 0_i128;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let len = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (amount, after) = rest.split_at(len);
        let len = after.bytes().take_while(|byte| !byte.is_ascii_digit() && *byte != b'.').count();
        let (name, after) = after.split_at(len);
        rest = after;
        total = total.checked_add(amount_of_unit(amount, unit(name)?)?)?;
    }
    Some(total)
}

/// The nanoseconds of a unit.
fn unit(name: &str) -> Option<i128> {
    Some(match name {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

fn amount_of_unit(amount: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { i128::from(number(whole)?) };
    // Digits beyond the fifteenth are less than a nanosecond of any unit.
    let digits = &fraction[..fraction.len().min(15)];
    let part = if digits.is_empty() { 0 } else { i128::from(number(digits)?) };
    let scale = 10_i128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / scale)
}

/// The parts of a timestamp in a time zone.
#[derive(Clone, Copy, Debug)]
pub struct CalendarParts {
    /// The year.
    pub year: i64,
    /// The month, from 0.
    pub month: i64,
    /// The day of the month, from 1.
    pub day: i64,
    /// The day of the year, from 0.
    pub day_of_year: i64,
    /// The day of the week, from 0 for Sunday.
    pub day_of_week: i64,
    /// The second of the day.
    pub second: i64,
    /// The milliseconds of the second.
    pub milliseconds: i64,
}

/// The parts of a timestamp. The time zone is a name of the IANA database or an offset such as
/// `-02:30`; UTC without one.
pub fn parts(time: Time, zone: Option<&str>) -> Result<CalendarParts> {
    let seconds = time.seconds + zone.map_or(Ok(0), |zone| zone_offset(time, zone))?;
    let day_since_epoch = seconds.div_euclid(DAY);
    let (year, month, day) = date(day_since_epoch);
    Ok(CalendarParts {
        year,
        month: month - 1,
        day,
        day_of_year: day_since_epoch - days(year, 1, 1),
        day_of_week: (day_since_epoch + 4).rem_euclid(7),
        second: seconds.rem_euclid(DAY),
        milliseconds: i64::from(time.nanoseconds / 1_000_000),
    })
}

fn zone_offset(time: Time, zone: &str) -> Result<i64> {
    let signed = zone.starts_with(['+', '-']);
    if zone.contains(':') {
        let offset = if signed { offset(zone) } else { offset(&format!("+{zone}")) };
        return offset.ok_or(EvaluationError::Invalid("unknown time zone"));
    }
    if zone == "UTC" || zone.is_empty() {
        return Ok(0);
    }
    // The database is a part of the program: names never become paths.
    let found = TimeZoneDatabase::bundled().get(zone);
    let found = found.map_err(|_| EvaluationError::Invalid("unknown time zone"))?;
    // The calendar of the library ends some hours earlier; no offset changes in the last ones.
    let nearest = jiff::Timestamp::new(time.seconds, 0).unwrap_or(jiff::Timestamp::MAX);
    let offset: Offset = found.to_offset(nearest);
    Ok(i64::from(offset.seconds()))
}
