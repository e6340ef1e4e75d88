//! Optional values.

use super::{Function, Result, push_value};
use crate::expression::EvaluationError;
use crate::expression::budget::CostBudget;
use crate::expression::value::{Elements, Value};

pub const FUNCTIONS: &[Function] = &[
    Function::global("optional.none", 0, |_, _| Ok(Value::Optional(None))),
    Function::global("optional.of", 1, |arguments, budget| {
        budget.keep(size_of::<Value<'_>>())?;
        Ok(Value::optional(Some(arguments[0].clone())))
    }),
    Function::global("optional.ofNonZeroValue", 1, |arguments, budget| {
        budget.keep(size_of::<Value<'_>>())?;
        let is_zero = is_zero(&arguments[0], budget)?;
        Ok(Value::optional((!is_zero).then(|| arguments[0].clone())))
    }),
    Function::method("hasValue", 1, |arguments, _| match &arguments[0] {
        Value::Optional(value) => Ok(Value::Bool(value.is_some())),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }),
    Function::method("value", 1, |arguments, _| match &arguments[0] {
        Value::Optional(Some(value)) => Ok(Value::clone(value)),
        Value::Optional(None) => Err(EvaluationError::Invalid("an optional value has no value")),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }),
    Function::global("optional.unwrap", 1, unwrap),
    Function::method("unwrapOpt", 1, unwrap),
];

/// Whether a value is the zero value of its type: empty, `false`, zero or null.
fn is_zero(value: &Value<'_>, budget: &mut CostBudget) -> Result<bool> {
    Ok(match value {
        Value::Null => true,
        Value::Bool(bool) => !bool,
        Value::Int(number) => *number == 0,
        Value::Uint(number) => *number == 0,
        Value::Double(number) | Value::Rounded(number, _) => *number == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(_) | Value::Map(_) | Value::JsonList(_) | Value::JsonMap(_) => {
            Elements::of(value)?.next(budget)?.is_none()
        }
        Value::Duration(time) => time.is_zero(),
        _ => false,
    })
}

/// The values of a list of optional values.
fn unwrap<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let Value::List(list) = &arguments[0] else { return Err(EvaluationError::NO_OVERLOAD) };
    let mut values = Vec::new();
    for value in list.iter() {
        match value {
            Value::Optional(Some(value)) => push_value(&mut values, Value::clone(value), budget)?,
            Value::Optional(None) => {}
            _ => return Err(EvaluationError::NO_OVERLOAD),
        }
    }
    Ok(Value::List(values.into()))
}
