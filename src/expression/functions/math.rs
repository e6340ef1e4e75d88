//! The extension `math`.

use std::cmp::Ordering;

use super::{Function, Result, int};
use crate::expression::EvaluationError;
use crate::expression::budget::CostBudget;
use crate::expression::compare::order;
use crate::expression::value::{Elements, Value};

pub const FUNCTIONS: &[Function] = &[
    Function::global("math.greatest", 1, |a, budget| extreme(a, Ordering::Greater, budget))
        .up_to(usize::MAX),
    Function::global("math.least", 1, |a, budget| extreme(a, Ordering::Less, budget))
        .up_to(usize::MAX),
    Function::global("math.ceil", 1, |a, _| of_double(a, f64::ceil)),
    Function::global("math.floor", 1, |a, _| of_double(a, f64::floor)),
    Function::global("math.round", 1, |a, _| of_double(a, f64::round)),
    Function::global("math.trunc", 1, |a, _| of_double(a, f64::trunc)),
    Function::global("math.sqrt", 1, |a, _| match &a[0] {
        Value::Int(number) => Ok(Value::Double((*number as f64).sqrt())),
        Value::Uint(number) => Ok(Value::Double((*number as f64).sqrt())),
        _ => of_double(a, f64::sqrt),
    }),
    Function::global("math.isNaN", 1, |a, _| Ok(Value::Bool(double(&a[0])?.is_nan()))),
    Function::global("math.isInf", 1, |a, _| Ok(Value::Bool(double(&a[0])?.is_infinite()))),
    Function::global("math.isFinite", 1, |a, _| Ok(Value::Bool(double(&a[0])?.is_finite()))),
    Function::global("math.abs", 1, |a, _| match &a[0] {
        Value::Int(number) => number.checked_abs().map(Value::Int).ok_or(EvaluationError::Overflow),
        Value::Uint(number) => Ok(Value::Uint(*number)),
        _ => of_double(a, f64::abs),
    }),
    Function::global("math.sign", 1, |a, _| match &a[0] {
        Value::Int(number) => Ok(Value::Int(number.signum())),
        Value::Uint(number) => Ok(Value::Uint((*number).min(1))),
        _ => of_double(
            a,
            |number| {
                if number == 0.0 || number.is_nan() { number } else { number.signum() }
            },
        ),
    }),
    Function::global("math.bitAnd", 2, |a, _| bits(a, |a, b| a & b)),
    Function::global("math.bitOr", 2, |a, _| bits(a, |a, b| a | b)),
    Function::global("math.bitXor", 2, |a, _| bits(a, |a, b| a ^ b)),
    Function::global("math.bitNot", 1, |a, _| match &a[0] {
        Value::Int(number) => Ok(Value::Int(!number)),
        Value::Uint(number) => Ok(Value::Uint(!number)),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }),
    Function::global("math.bitShiftLeft", 2, |a, _| shift(a, u64::checked_shl)),
    Function::global("math.bitShiftRight", 2, |a, _| shift(a, u64::checked_shr)),
];

fn double(value: &Value<'_>) -> Result<f64> {
    match value {
        Value::Double(number) | Value::Rounded(number, _) => Ok(*number),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn of_double<'a>(arguments: &[Value<'a>], function: fn(f64) -> f64) -> Result<Value<'a>> {
    match &arguments[0] {
        Value::Double(number) => Ok(Value::Double(function(*number))),
        Value::Rounded(number, _) => Ok(Value::Rounded(function(*number), None)),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

/// The greatest or the least number of the arguments, or of one list of numbers. Of equal ones, the
/// first.
fn extreme<'a>(
    arguments: &[Value<'a>],
    wanted: Ordering,
    budget: &mut CostBudget,
) -> Result<Value<'a>> {
    let mut best: Option<Value<'a>> = None;
    let mut better = |value: Value<'a>, budget: &mut CostBudget| {
        if value.as_double().is_none() {
            return Err(EvaluationError::NO_OVERLOAD);
        }
        let is_better = match &best {
            Some(best) => order(&value, best, budget)? == Some(wanted),
            None => true,
        };
        if is_better {
            best = Some(value);
        }
        Ok(())
    };
    match arguments {
        [list @ (Value::List(_) | Value::JsonList(_))] => {
            let mut elements = Elements::of(list)?;
            while let Some(element) = elements.next(budget)? {
                better(element, budget)?;
            }
        }
        _ => arguments.iter().try_for_each(|value| better(value.clone(), budget))?,
    }
    best.ok_or(EvaluationError::Invalid("an empty list has no greatest or least element"))
}

fn bits<'a>(arguments: &[Value<'a>], function: fn(u64, u64) -> u64) -> Result<Value<'a>> {
    match arguments {
        [Value::Int(a), Value::Int(b)] => {
            Ok(Value::Int(function(a.cast_unsigned(), b.cast_unsigned()).cast_signed()))
        }
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(function(*a, *b))),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

/// Shifts by 64 and more give zero. The sign bit is not copied.
fn shift<'a>(arguments: &[Value<'a>], function: fn(u64, u32) -> Option<u64>) -> Result<Value<'a>> {
    let by = int(&arguments[1])?;
    if by < 0 {
        return Err(EvaluationError::Invalid("a number of bits is negative"));
    }
    let shifted = |number| u32::try_from(by).ok().and_then(|by| function(number, by)).unwrap_or(0);
    match &arguments[0] {
        Value::Int(number) => Ok(Value::Int(shifted(number.cast_unsigned()).cast_signed())),
        Value::Uint(number) => Ok(Value::Uint(shifted(*number))),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}
