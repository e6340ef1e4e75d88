//! Conversions between types.

use std::num::ParseIntError;
use std::str::FromStr;

use super::{Function, Result};
use crate::expression::budget::{CostBudget, STEP};
use crate::expression::value::{Bytes, Text, Value};
use crate::expression::{EvaluationError, decimal, time};

pub const FUNCTIONS: &[Function] = &[
    Function::global("dyn", 1, |arguments, _| Ok(arguments[0].clone())),
    Function::global("type", 1, |arguments, _| Ok(Value::Type(arguments[0].type_name()))),
    Function::global("bool", 1, |arguments, _| bool(&arguments[0]).map(Value::Bool)),
    Function::global("int", 1, |arguments, budget| int(&arguments[0], budget).map(Value::Int)),
    Function::global("uint", 1, |arguments, budget| uint(&arguments[0], budget).map(Value::Uint)),
    Function::global("double", 1, |arguments, budget| double(&arguments[0], budget)),
    Function::global("string", 1, |arguments, budget| string(&arguments[0], budget)),
    Function::global("bytes", 1, |arguments, budget| bytes(&arguments[0], budget)),
];

fn bool(of: &Value<'_>) -> Result<bool> {
    match of {
        Value::Bool(bool) => Ok(*bool),
        Value::Text(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(EvaluationError::Invalid("a string is not a boolean")),
        },
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn int(of: &Value<'_>, budget: &mut CostBudget) -> Result<i64> {
    match of {
        Value::Int(number) => Ok(*number),
        Value::Uint(number) => i64::try_from(*number).map_err(|_| EvaluationError::OutOfRange),
        // The smallest integer is out of range as well, as in CEL.
        Value::Double(number) if *number > i64::MIN as f64 && *number < i64::MAX as f64 => {
            Ok(*number as i64)
        }
        Value::Double(_) => Err(EvaluationError::OutOfRange),
        Value::Rounded(..) => Err(EvaluationError::Rounded),
        Value::Text(text) => integer(text, budget),
        Value::Timestamp(time) => Ok(time.seconds()),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn uint(of: &Value<'_>, budget: &mut CostBudget) -> Result<u64> {
    match of {
        Value::Uint(number) => Ok(*number),
        Value::Int(number) => u64::try_from(*number).map_err(|_| EvaluationError::OutOfRange),
        Value::Double(number) if *number >= 0.0 && *number < u64::MAX as f64 => Ok(*number as u64),
        Value::Double(_) => Err(EvaluationError::OutOfRange),
        Value::Rounded(..) => Err(EvaluationError::Rounded),
        Value::Text(text) => integer(text, budget),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn integer<T: FromStr<Err = ParseIntError>>(text: &str, budget: &mut CostBudget) -> Result<T> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    budget.spend(text.len())?;
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        PosOverflow | NegOverflow => EvaluationError::OutOfRange,
        _ => EvaluationError::NotANumber,
    })
}

/// Of an integer, the nearest double: that is what the conversion asks for. Of a string with too
/// many digits, one whose exact value is unknown.
fn double<'a>(of: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>> {
    match of {
        Value::Int(number) => Ok(Value::Double(*number as f64)),
        Value::Uint(number) => Ok(Value::Double(*number as f64)),
        Value::Double(number) => Ok(Value::Double(*number)),
        Value::Rounded(number, text) => Ok(Value::Rounded(*number, *text)),
        Value::Text(text) => {
            // The number is also written and read again, to see whether it was rounded.
            budget.spend(32 * (STEP + text.len()))?;
            let is_number = text.parse::<f64>().is_ok();
            let error =
                if is_number { EvaluationError::OutOfRange } else { EvaluationError::NotANumber };
            decimal::double(text).map(Value::double).ok_or(error)
        }
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

fn bytes<'a>(of: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>> {
    match of {
        Value::Bytes(_) => Ok(of.clone()),
        Value::Text(Text::Borrowed(text)) => Ok(Value::Bytes(Bytes::Borrowed(text.as_bytes()))),
        Value::Text(Text::Shared(text)) => {
            budget.keep(text.len())?;
            Ok(Value::Bytes(Bytes::Shared(text.as_bytes().into())))
        }
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}

/// A value as a string.
pub fn string<'a>(of: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>> {
    let text = match of {
        Value::Text(_) => return Ok(of.clone()),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        // Several integers become the same double, and would be one text.
        Value::Double(number) if decimal::is_ambiguous(*number) => {
            return Err(EvaluationError::Rounded);
        }
        Value::Double(number) if number.is_finite() => number.to_string(),
        // All numbers that are too large would be one text.
        Value::Double(_) => return Err(EvaluationError::OutOfRange),
        Value::Rounded(..) => return Err(EvaluationError::Rounded),
        Value::Bytes(bytes) => {
            budget.keep(bytes.len())?;
            let text = std::str::from_utf8(bytes);
            let invalid = EvaluationError::Invalid("bytes are not valid UTF-8");
            return Ok(Value::text(text.map_err(|_| invalid)?));
        }
        Value::Timestamp(time) => time::write_timestamp(*time),
        Value::Duration(time) => time::write_duration(*time),
        Value::Ip(address) => address.to_string(),
        Value::Cidr(address, length) => format!("{address}/{length}"),
        Value::Url(url) => {
            budget.keep(url.as_str().len())?;
            url.as_str().to_owned()
        }
        Value::Type(name) => return Ok(Value::Text(Text::Borrowed(name))),
        Value::SemanticVersion(version) => {
            budget.keep(version.len())?;
            version.to_string()
        }
        _ => return Err(EvaluationError::NO_OVERLOAD),
    };
    budget.keep(text.len())?;
    Ok(Value::text(text))
}
