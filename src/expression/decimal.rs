//! Whether a double is the number that a text says. Doubles have 15 to 17 significant digits: texts
//! with more of them become the same double.

/// The magnitude up to which doubles hold every integer.
const ALL_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// Reads a number as a double, and tells whether the shortest notation of the double is the same
/// number. `None` if the text is not a number, or is one beyond the range of doubles.
pub fn double(text: &str) -> Option<(f64, bool)> {
    let double: f64 = text.parse().ok()?;
    if double.is_finite() {
        let shortest = Decimal::read(&format!("{double:e}"));
        let is_shortest = shortest.is_some() && shortest == Decimal::read(text);
        // The shortest notation of a large integral double may be another integer.
        let is_exact = !is_ambiguous(double) || double.to_string().parse() == Ok(double as i128);
        return Some((double, is_shortest && is_exact));
    }
    // The words for infinity and NaN have no digits.
    let is_word = !text.bytes().any(|byte| byte.is_ascii_digit());
    is_word.then_some((double, true))
}

/// Whether a double may stand for several integers: it is one beyond the magnitude up to which
/// doubles hold every integer, and in the range of `int` and `uint`.
pub fn is_ambiguous(double: f64) -> bool {
    double.abs() >= ALL_INTEGERS && double.abs() <= u64::MAX as f64
}

/// The number `significand * 10^exponent`; the significand does not end with a zero.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    significand: u64,
    exponent: i64,
}

impl Decimal {
    /// Reads decimal notation; `None` for other texts, and for more significant digits than any
    /// shortest notation of a double has.
    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (text, 0_i64),
        };
        let is_negative = mantissa.starts_with('-');
        let mantissa = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut significand = 0_u64;
        let mut zeros = 0_u32;
        for byte in whole.bytes().chain(fraction.bytes()) {
            match byte {
                b'0' => zeros = zeros.checked_add(1)?,
                b'1'..=b'9' => {
                    let by = 10_u64.checked_pow(zeros + 1).or((significand == 0).then_some(0))?;
                    significand =
                        significand.checked_mul(by)?.checked_add(u64::from(byte - b'0'))?;
                    zeros = 0;
                }
                _ => return None,
            }
        }
        if significand == 0 {
            return Some(Self { is_negative: false, significand, exponent: 0 });
        }
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let exponent = exponent.checked_add(i64::from(zeros))?;
        Some(Self { is_negative, significand, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_the_number_of_its_shortest_notation_however_it_is_written() {
        for text in [
            "0",
            "-0.0",
            "0.1",
            "1.50",
            "0.000015e5",
            "1e23",
            "100000000000000000000000.0",
            "-1.7976931348623157e308",
            "5e-324",
            "00.1",
            "+1",
            "0.0000000000000000000000000001",
            "9007199254740993e-1",
            "120E-1",
            "9007199254740992.000000000000000000000000000",
        ] {
            assert!(double(text).unwrap().1, "{text}");
        }
        for text in [
            "9007199254740993.0",
            "0.1000000000000000055511151231257827",
            "1e-400",
            "2e-324",
            "99999999999999991611392.0",
            "1.00000000000000000000000000000001",
        ] {
            assert!(!double(text).unwrap().1, "{text}");
        }
        for text in ["1e309", "-1e400", "", "a", "1e", "1.2.3"] {
            assert_eq!(double(text), None, "{text}");
        }
        assert_eq!(double("-inf"), Some((f64::NEG_INFINITY, true)));
    }

    #[test]
    fn an_integral_double_is_exact_only_if_its_shortest_notation_is_its_value() {
        for (text, is_exact) in [
            ("9007199254740992.0", true),
            ("36028797018963968.0", false),
            ("36028797018963970.0", false),
            ("12345678901234567e3", false),
            ("1e23", true),
        ] {
            assert_eq!(double(text).unwrap().1, is_exact, "{text}");
        }
        assert!(is_ambiguous(-9007199254740992.0) && is_ambiguous(18446744073709551615.0));
        assert!(!is_ambiguous(9007199254740991.0) && !is_ambiguous(1e20));
    }
}
