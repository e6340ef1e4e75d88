//! Kubernetes' quantities, such as `1.5Gi` or `100m`.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Function, Result, text};
use crate::expression::EvaluationError;
use crate::expression::value::Value;

pub const FUNCTIONS: &[Function] = &[
    Function::global("quantity", 1, |a, _| match &a[0] {
        Value::Quantity(_) => Ok(a[0].clone()),
        value => {
            let quantity = Quantity::read(text(value)?);
            quantity.map(value_of).ok_or(EvaluationError::Invalid("not a quantity"))
        }
    }),
    Function::global("isQuantity", 1, |a, _| {
        Ok(Value::Bool(Quantity::read(text(&a[0])?).is_some()))
    }),
    Function::method("isInteger", 1, |a, _| Ok(Value::Bool(quantity(&a[0])?.integer().is_some()))),
    Function::method("asInteger", 1, |a, _| {
        let integer = quantity(&a[0])?.integer();
        integer.map(Value::Int).ok_or(EvaluationError::Invalid("a quantity is not an integer"))
    }),
    Function::method("asApproximateFloat", 1, |a, _| {
        Ok(Value::Double(quantity(&a[0])?.nano as f64 / NANO as f64))
    }),
    Function::method("sign", 1, |a, _| {
        Ok(Value::Int(i64::try_from(quantity(&a[0])?.nano.signum()).unwrap_or(0)))
    }),
    Function::method("add", 2, |a, _| combined(a, i128::checked_add)),
    Function::method("sub", 2, |a, _| combined(a, i128::checked_sub)),
];

const NANO: i128 = 1_000_000_000;

/// The largest quantity, in billionths: what 64 bits hold.
const MAX: i128 = i64::MAX as i128 * NANO;

/// The longest text of a quantity.
const LENGTH: usize = 64;

/// A quantity, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    nano: i128,
}

impl Quantity {
    /// Reads a quantity. One that is not a multiple of a billionth is rounded away from zero.
    fn read(text: &str) -> Option<Self> {
        if text.len() > LENGTH {
            return None;
        }
        let (is_negative, rest) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let len = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, suffix) = rest.split_at(len);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significand = digits.parse::<i128>().ok()?;
        let (factor, exponent) = unit(suffix)?;
        let exponent = exponent + 9 - i32::try_from(fraction.len()).ok()?;
        let power = 10_i128.checked_pow(exponent.unsigned_abs());
        let scaled = significand.checked_mul(factor)?;
        let nano = match (power, exponent >= 0) {
            (Some(power), true) => scaled.checked_mul(power)?,
            (Some(power), false) => scaled.checked_add(power - 1)? / power,
            (None, true) if scaled == 0 => 0,
            (None, true) => return None,
            (None, false) => i128::from(scaled > 0),
        };
        (nano <= MAX).then_some(Self { nano: if is_negative { -nano } else { nano } })
    }

    fn integer(self) -> Option<i64> {
        (self.nano % NANO == 0).then(|| i64::try_from(self.nano / NANO).ok()).flatten()
    }

    /// The order.
    pub fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// The factor and the decimal exponent of a suffix.
fn unit(suffix: &str) -> Option<(i128, i32)> {
    let decimal = |exponent| Some((1, exponent));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => Some((1 << 10, 0)),
        "Mi" => Some((1 << 20, 0)),
        "Gi" => Some((1 << 30, 0)),
        "Ti" => Some((1 << 40, 0)),
        "Pi" => Some((1 << 50, 0)),
        "Ei" => Some((1 << 60, 0)),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-100..=100).contains(&exponent).then_some((1, exponent))
        }
    }
}

fn quantity(value: &Value<'_>) -> Result<Quantity> {
    match value {
        Value::Quantity(quantity) => Ok(**quantity),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn value_of(quantity: Quantity) -> Value<'static> {
    Value::Quantity(Rc::new(quantity))
}

fn combined<'a>(
    arguments: &[Value<'a>],
    function: fn(i128, i128) -> Option<i128>,
) -> Result<Value<'a>> {
    let other = match &arguments[1] {
        Value::Int(number) => i128::from(*number) * NANO,
        value => quantity(value)?.nano,
    };
    let nano = function(quantity(&arguments[0])?.nano, other);
    let nano = nano.filter(|nano| nano.abs() <= MAX).ok_or(EvaluationError::Overflow)?;
    Ok(value_of(Quantity { nano }))
}
