//! A point in time, as it is stored and compared: milliseconds since 1970.

pub mod steady;

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970, UTC. Pure code gets it as a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// Later than every other moment.
    pub const NEVER: Self = Self(i64::MAX as u64);

    /// The current time for comparisons with other times of this program, see [`steady`].
    pub fn now() -> Self {
        steady::now()
    }

    /// The current time of the system clock, for times that other systems check: those in
    /// signatures and tokens.
    pub fn wall() -> Self {
        SystemTime::now().into()
    }

    /// Parses RFC 3339; `None` if the text is invalid, or before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: Timestamp = text.parse().ok()?;
        u64::try_from(timestamp.as_millisecond()).ok().map(Self)
    }

    /// The time elapsed since an earlier moment; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Times before 1970 become 1970.
impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}

/// RFC 3339, in UTC, with milliseconds.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp =
            i64::try_from(self.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        write!(f, "{:.3}", timestamp.unwrap_or(Timestamp::MAX))
    }
}

/// Serializes as RFC 3339.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(millis(time)).min(Self::NEVER.0))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(millis(time)))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_neither_overflow_nor_go_below_zero() {
        assert_eq!(Moment(5) - Duration::from_secs(1), Moment(0));
        assert_eq!(Moment(5) + Duration::MAX, Moment::NEVER);
        assert_eq!(Moment(5).since(Moment(9)), Duration::ZERO);
        assert_eq!(Moment(9).since(Moment(5)), Duration::from_millis(4));
        assert_eq!(Moment(1_500).to_string(), "1970-01-01T00:00:01.500Z");
        let _ = Moment::NEVER.to_string();
        assert_eq!(Moment::parse("1970-01-01T01:00:01.5+01:00"), Some(Moment(1_500)));
        for text in ["1969-12-31T23:59:59Z", "1970-01-01", "1970-01-01T00:00:00", "15m", ""] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
