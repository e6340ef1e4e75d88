//! Durations in the notation of the resources: `10s`, `1m30s`, `1.5s`.

use std::time::Duration;

/// Parses a duration in the units `ms`, `s`, `m` and `h`; `None` if it is invalid.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit) = rest.split_at(rest.find(|c: char| c != '.' && !c.is_ascii_digit())?);
        let unit_len = unit.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(unit.len());
        let seconds = match &unit[..unit_len] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = &unit[unit_len..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        let cases = [
            ("100ms", Some(100)),
            ("10s", Some(10_000)),
            ("1.5s", Some(1_500)),
            ("1m30s", Some(90_000)),
            ("", None),
            ("10", None),
            ("s", None),
            ("10 s", None),
            ("-1s", None),
            ("1d", None),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
