//! The header `Retry-After`: how long a listener asks to be left alone.

use std::time::Duration;

use http::HeaderValue;

use crate::moment::Moment;

/// Whatever a listener asks for: nothing is put off for longer because of it.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long from `now` (RFC 9110, 10.2.3): seconds, or a date in any of the three forms of section
/// 5.6.7. At most [`LONGEST_RETRY_AFTER`]; zero where the date is past; `None` where it is neither.
pub fn retry_after(value: &HeaderValue, now: Moment) -> Option<Duration> {
    let text = value.to_str().ok()?.trim_matches([' ', '\t']);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        // What has no room is as long as can be.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        Moment::from(httpdate::parse_http_date(text).ok()?).since(now)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}
