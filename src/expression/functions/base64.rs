//! The extension `encoders`.

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Function, Result, text};
use crate::expression::EvaluationError;
use crate::expression::budget::CostBudget;
use crate::expression::value::{Bytes, Value};

pub const FUNCTIONS: &[Function] =
    &[Function::global("base64.encode", 1, encode), Function::global("base64.decode", 1, decode)];

/// Padding is written, and not required.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn encode<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let Value::Bytes(bytes) = &arguments[0] else { return Err(EvaluationError::NO_OVERLOAD) };
    budget.keep(3 * bytes.len() + 4)?;
    Ok(Value::text(ENGINE.encode(&**bytes)))
}

fn decode<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let text = text(&arguments[0])?;
    budget.keep(2 * text.len() + 4)?;
    let bytes = ENGINE.decode(text.as_bytes());
    let bytes = bytes.map_err(|_| EvaluationError::Invalid("a string is not base64"))?;
    Ok(Value::Bytes(Bytes::Shared(bytes.into())))
}
