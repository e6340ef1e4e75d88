//! The arithmetic operators.

use std::rc::Rc;

use super::EvaluationError;
use super::budget::CostBudget;
use super::error::Result;
use super::node::BinaryOperator;
use super::time::{duration, timestamp};
use super::value::{Bytes, Elements, Text, Value};

/// `-a`.
pub fn negated<'a>(of: &Value<'a>) -> Result<Value<'a>> {
    match of {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(EvaluationError::Overflow),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Rounded(number, _) => Ok(Value::Rounded(-number, None)),
        _ => Err(EvaluationError::WrongType("negation requires an int or a double")),
    }
}

/// `+`, `-`, `*`, `/` and `%`. An integer and a double can be mixed: JSON has one type of numbers.
pub fn arithmetic<'a>(
    operator: BinaryOperator,
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut CostBudget,
) -> Result<Value<'a>> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => ints(operator, *a, *b).map(Value::Int),
        (Value::Uint(a), Value::Uint(b)) => uints(operator, *a, *b).map(Value::Uint),
        (Value::Uint(_), Value::Int(_)) | (Value::Int(_), Value::Uint(_)) => {
            Err(EvaluationError::WrongType("int and uint cannot be mixed"))
        }
        (Value::Bytes(a), Value::Bytes(b)) if operator == BinaryOperator::Add => {
            budget.keep(2 * (a.len() + b.len()))?;
            Ok(Value::Bytes(Bytes::Shared([&**a, &**b].concat().into())))
        }
        (Value::Timestamp(_) | Value::Duration(_), _) | (_, Value::Timestamp(_)) => {
            times(operator, a, b)
        }
        (Value::Text(a), Value::Text(b)) if operator == BinaryOperator::Add => {
            budget.keep(2 * (a.len() + b.len()))?;
            Ok(Value::Text(Text::Shared([&**a, &**b].concat().into())))
        }
        (Value::List(_) | Value::JsonList(_), Value::List(_) | Value::JsonList(_))
            if operator == BinaryOperator::Add =>
        {
            joined(a, b, budget)
        }
        _ => {
            let doubles = a.as_double().zip(b.as_double());
            let (a, b) = doubles.ok_or(EvaluationError::WrongType(
                "an operator does not support the types of its operands",
            ))?;
            arithmetic_of_doubles(operator, a, b)
        }
    }
}

fn ints(operator: BinaryOperator, a: i64, b: i64) -> Result<i64> {
    let number = match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(EvaluationError::DivisionByZero),
        BinaryOperator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    number.ok_or(EvaluationError::Overflow)
}

fn uints(operator: BinaryOperator, a: u64, b: u64) -> Result<u64> {
    let number = match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(EvaluationError::DivisionByZero),
        BinaryOperator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    number.ok_or(EvaluationError::Overflow)
}

fn times<'a>(operator: BinaryOperator, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>> {
    use BinaryOperator::{Add, Subtract};
    use Value::{Duration, Timestamp};
    match (a, operator, b) {
        (Timestamp(a), Add, Duration(b)) | (Duration(a), Add, Timestamp(b)) => {
            timestamp(a.plus(*b))
        }
        (Timestamp(a), Subtract, Duration(b)) => timestamp(a.minus(*b)),
        (Duration(a), Add, Duration(b)) => duration(a.plus(*b)),
        (Duration(a), Subtract, Duration(b)) | (Timestamp(a), Subtract, Timestamp(b)) => {
            duration(a.minus(*b))
        }
        _ => Err(EvaluationError::WrongType(
            "an operator does not support the types of its operands",
        )),
    }
}

/// A result of rounded operands is rounded.
fn arithmetic_of_doubles<'a>(
    operator: BinaryOperator,
    (a, is_a_exact): (f64, bool),
    (b, is_b_exact): (f64, bool),
) -> Result<Value<'a>> {
    let result = match operator {
        BinaryOperator::Add => a + b,
        BinaryOperator::Subtract => a - b,
        BinaryOperator::Multiply => a * b,
        BinaryOperator::Divide => a / b,
        _ => return Err(EvaluationError::WrongType("the remainder requires integers")),
    };
    Ok(Value::double((result, is_a_exact && is_b_exact)))
}

fn joined<'a>(a: &Value<'a>, b: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>> {
    let mut all = Vec::new();
    for list in [a, b] {
        let mut elements = Elements::of(list)?;
        while let Some(element) = elements.next(budget)? {
            budget.keep(2 * size_of::<Value<'_>>())?;
            all.push(element);
        }
    }
    Ok(Value::List(Rc::from(all)))
}
