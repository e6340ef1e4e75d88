//! Parses `Retry-After`.

use std::time::Duration;

use http::HeaderValue;

use crate::moment::Moment;

/// The longest wait that a listener can request.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The requested wait from `now` (RFC 9110, 10.2.3): seconds, or a date in one of the three forms
/// of section 5.6.7. At most [`LONGEST_RETRY_AFTER`]; zero if the date is past; `None` if the value
/// is invalid.
pub fn retry_after(value: &HeaderValue, now: Moment) -> Option<Duration> {
    let text = value.to_str().ok()?.trim_matches([' ', '\t']);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        // A number that overflows counts as the longest wait.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        Moment::from(httpdate::parse_http_date(text).ok()?).since(now)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}
