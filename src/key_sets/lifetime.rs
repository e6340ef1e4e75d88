//! How long the response of an issuer may be used.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, HeaderName};

const MINUTE: u64 = 60;

/// Lifetime of a response without `max-age`.
const DEFAULT: Duration = Duration::from_secs(60 * MINUTE);

/// Lower bound: limits the load on the issuer.
const SHORTEST: Duration = Duration::from_secs(5 * MINUTE);

/// Upper bound: limits how long a key is accepted after the issuer has revoked it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * MINUTE);

/// The freshness lifetime of a response with these headers (RFC 9111, section 4.2), within the
/// bounds.
pub fn lifetime(headers: &HeaderMap) -> Duration {
    let remaining = max_age(headers).map(|max_age| max_age.saturating_sub(age(headers)));
    remaining.map_or(DEFAULT, Duration::from_secs).clamp(SHORTEST, LONGEST)
}

/// The first `max-age` of `Cache-Control`, in seconds. 0 for `no-store` and `no-cache`.
fn max_age(headers: &HeaderMap) -> Option<u64> {
    let mut max_age = None;
    for directive in texts(headers, &CACHE_CONTROL).flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(0),
            "max-age" => max_age = max_age.or_else(|| value.trim().trim_matches('"').parse().ok()),
            _ => {}
        }
    }
    max_age
}

/// How long the response was held in caches, in seconds (`Age`).
fn age(headers: &HeaderMap) -> u64 {
    texts(headers, &AGE).next().and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(headers: &[(HeaderName, &str)]) -> u64 {
        let value = |text| HeaderValue::from_str(text).unwrap();
        let mut map = HeaderMap::new();
        for (name, text) in headers {
            map.append(name, value(text));
        }
        lifetime(&map).as_secs()
    }

    #[test]
    fn max_age_is_respected_within_bounds() {
        for (directives, seconds) in [
            ("max-age=1800", 1800),
            ("public, Max-Age=1800, must-revalidate", 1800),
            ("max-age=\"1800\"", 1800),
            ("max-age = 1800", 1800),
            ("max-age=1800, max-age=900", 1800),
            ("s-maxage=900", 3600),
            ("max-age=1", 300),
            ("max-age=0", 300),
            ("max-age=31536000", 86_400),
            ("max-age=1800, no-cache", 300),
            ("no-store", 300),
            ("max-age=", 3600),
            ("max-age=-5", 3600),
            ("max-age=99999999999999999999999", 3600),
            ("public", 3600),
            ("", 3600),
        ] {
            assert_eq!(of(&[(CACHE_CONTROL, directives)]), seconds, "{directives}");
        }
        assert_eq!(of(&[]), 3600);
    }

    #[test]
    fn several_cache_control_headers_are_combined() {
        assert_eq!(of(&[(CACHE_CONTROL, "public"), (CACHE_CONTROL, "max-age=1800")]), 1800);
    }

    #[test]
    fn age_is_subtracted_from_max_age() {
        let of = |age| of(&[(CACHE_CONTROL, "max-age=7200"), (AGE, age)]);
        assert_eq!(of("3600"), 3600);
        assert_eq!(of("9999"), 300);
        assert_eq!(of("old"), 7200);
    }
}
