//! The equality and the order of values.

use std::cmp::Ordering;

use super::budget::{CostBudget, STEP};
use super::value::{Elements, Value};
use super::{EvaluationError, MAX_DEPTH};

/// Whether two values are equal. Values of different types are not, except that integers and
/// doubles compare as numbers.
///
/// # Errors
/// [`EvaluationError::Rounded`], if two numbers are equal only because one of them was rounded.
pub fn equal<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    equal_within(a, b, MAX_DEPTH, budget)
}

fn equal_within<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    use Value::{Double, Int, JsonList, JsonMap, List, Map, Optional, Rounded, Uint};
    budget.spend(STEP)?;
    let below = || depth.checked_sub(1).ok_or(EvaluationError::TooDeep);
    match (a, b) {
        (Int(a), Int(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => {
            budget.spend(a.len().min(b.len()))?;
            Ok(**a == **b)
        }
        (Int(_) | Uint(_) | Double(_), Int(_) | Uint(_) | Double(_)) => Ok(equal_numbers(a, b)),
        (
            Int(_) | Uint(_) | Double(_) | Rounded(..),
            Int(_) | Uint(_) | Double(_) | Rounded(..),
        ) => {
            let is_equal = numbers(a, b) == Some(Ordering::Equal);
            if is_equal { Err(EvaluationError::Rounded) } else { Ok(false) }
        }
        (List(_) | JsonList(_), List(_) | JsonList(_)) => equal_lists(a, b, below()?, budget),
        (Map(_) | JsonMap(_), Map(_) | JsonMap(_)) => {
            Ok(is_within(a, b, below()?, budget)? && is_within(b, a, below()?, budget)?)
        }
        (Optional(Some(a)), Optional(Some(b))) => equal_within(a, b, below()?, budget),
        _ => equal_scalars(a, b, budget),
    }
}

fn equal_scalars<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    use Value::{Bool, Bytes, Cidr, Duration, Ip, Null, Optional, Timestamp, Type, Url};
    Ok(match (a, b) {
        (Null, Null) | (Optional(None), Optional(None)) => true,
        (Bool(a), Bool(b)) => a == b,
        (Bytes(a), Bytes(b)) => {
            budget.spend(a.len().min(b.len()))?;
            **a == **b
        }
        (Timestamp(a), Timestamp(b)) | (Duration(a), Duration(b)) => a == b,
        (Type(a), Type(b)) => a == b,
        (Ip(a), Ip(b)) => a.to_canonical() == b.to_canonical(),
        (Cidr(a, length), Cidr(b, other)) => a == b && length == other,
        (Url(a), Url(b)) => {
            budget.spend(a.as_str().len())?;
            a == b
        }
        (Value::Quantity(a), Value::Quantity(b)) => a.cmp(b).is_eq(),
        (Value::SemanticVersion(a), Value::SemanticVersion(b)) => {
            budget.spend(a.len())?;
            a.cmp(b).is_eq()
        }
        _ => false,
    })
}

fn equal_lists<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    let (mut a, mut b) = (Elements::of(a)?, Elements::of(b)?);
    loop {
        match (a.next(budget)?, b.next(budget)?) {
            (None, None) => return Ok(true),
            (Some(a), Some(b)) if equal_within(&a, &b, depth, budget)? => {}
            _ => return Ok(false),
        }
    }
}

/// Whether all entries of one map are equal in another.
fn is_within<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    let mut keys = Elements::of(a)?;
    while let Some(key) = keys.next(budget)? {
        let (Some(a), Some(b)) = (a.get(&key, budget)?, b.get(&key, budget)?) else {
            return Ok(false);
        };
        if !equal_within(&a, &b, depth, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares two values; `None` if one of them is NaN. Rounded numbers compare as their doubles.
pub fn order(
    a: &Value<'_>,
    b: &Value<'_>,
    budget: &mut CostBudget,
) -> Result<Option<Ordering>, EvaluationError> {
    use Value::{Bool, Bytes, Double, Duration, Int, Rounded, Text, Timestamp, Uint};
    match (a, b) {
        (Int(a), Int(b)) => Ok(Some(a.cmp(b))),
        (Bool(a), Bool(b)) => Ok(Some(a.cmp(b))),
        (Text(a), Text(b)) => {
            budget.spend(a.len().min(b.len()))?;
            Ok(Some((**a).cmp(&**b)))
        }
        (Bytes(a), Bytes(b)) => {
            budget.spend(a.len().min(b.len()))?;
            Ok(Some((**a).cmp(&**b)))
        }
        (Timestamp(a), Timestamp(b)) | (Duration(a), Duration(b)) => Ok(Some(a.cmp(b))),
        (
            Int(_) | Uint(_) | Double(_) | Rounded(..),
            Int(_) | Uint(_) | Double(_) | Rounded(..),
        ) => Ok(numbers(a, b)),
        _ => Err(EvaluationError::WrongType("a comparison requires two numbers or two strings")),
    }
}

/// The order of two numbers. As in CEL, an integer and a double compare as doubles.
fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_double()?.0.partial_cmp(&b.as_double()?.0),
    }
}

/// Whether two numbers are equal. An integer and a double are equal if they are the same number;
/// rounding the integer to a double would make different numbers equal.
fn equal_numbers(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (integer(a), integer(b), a, b) {
        (Some(a), Some(b), ..) => a == b,
        (Some(int), None, _, Value::Double(double))
        | (None, Some(int), Value::Double(double), _) => {
            int as f64 == *double && int == *double as i128
        }
        (None, None, Value::Double(a), Value::Double(b)) => a == b,
        _ => false,
    }
}

fn integer(number: &Value<'_>) -> Option<i128> {
    match number {
        Value::Int(int) => Some(i128::from(*int)),
        Value::Uint(uint) => Some(i128::from(*uint)),
        _ => None,
    }
}
