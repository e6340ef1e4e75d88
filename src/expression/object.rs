//! The result of a transform as JSON text.
//!
//! Values become JSON as in cel-go (the JSON mapping of protobuf): bytes are base64, timestamps RFC
//! 3339, durations seconds such as `"1.5s"`. Different from cel-go, integers beyond 2^53 stay
//! numbers with all their digits: a sender's number must be the same number for the listener. What
//! comes from an input is copied, so its numbers, order and escapes are those of the sender.

use std::io::Write;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::budget::{CostBudget, STEP};
use super::error::Result;
use super::time::{write_duration, write_timestamp};
use super::value::Value;
use super::{EvaluationError, MAX_DEPTH};

/// The object that a transform gives. Its length is known, and its text is not written yet, so that
/// memory for it can be reserved first.
#[derive(Debug)]
pub struct JsonObject<'a> {
    value: Value<'a>,
    len: usize,
}

impl<'a> JsonObject<'a> {
    /// Checks that a value is an object that has a JSON text of at most `limit` bytes.
    pub(super) fn new(value: Value<'a>, limit: usize, budget: &mut CostBudget) -> Result<Self> {
        if !matches!(value, Value::Map(_) | Value::JsonMap(_)) {
            return Err(EvaluationError::NotObject(value.type_name()));
        }
        let mut measure = Measure { len: 0, limit, budget };
        write(&value, MAX_DEPTH, &mut measure)?;
        measure.charge(0)?;
        Ok(Self { len: measure.len, value })
    }

    /// The length of the text in bytes; never zero.
    #[expect(clippy::len_without_is_empty, reason = "an object has at least its brackets")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes the text. It takes [`Self::len`] bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len);
        let written = write(&self.value, MAX_DEPTH, &mut text);
        debug_assert!(
            written.is_ok() && text.len() == self.len,
            "differs from the measured length"
        );
        text
    }
}

/// What a text is written to. Writing itself cannot fail.
trait JsonOutput: Write {
    /// Called before work of this cost, and at the end.
    fn charge(&mut self, cost: usize) -> Result<()>;
}

/// Counts bytes instead of keeping them.
struct Measure<'b> {
    len: usize,
    limit: usize,
    budget: &'b mut CostBudget,
}

impl Write for Measure<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.len = self.len.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl JsonOutput for Measure<'_> {
    fn charge(&mut self, cost: usize) -> Result<()> {
        if self.len > self.limit {
            return Err(EvaluationError::TooLong(self.limit));
        }
        // The text is written twice: once here, and once to memory.
        self.budget.spend(2 * cost)
    }
}

impl JsonOutput for Vec<u8> {
    fn charge(&mut self, _: usize) -> Result<()> {
        Ok(())
    }
}

fn write(value: &Value<'_>, depth: usize, out: &mut impl JsonOutput) -> Result<()> {
    out.charge(STEP)?;
    match value {
        Value::JsonMap(text) | Value::JsonList(text) => copy(text, out),
        Value::Map(entries) => {
            let members = entries.iter().map(|(key, value)| (Some(key), value));
            write_all(b"{}", members, depth, out)
        }
        Value::List(items) => write_all(b"[]", items.iter().map(|item| (None, item)), depth, out),
        Value::Text(text) => write_text(text, out),
        Value::Bytes(bytes) => {
            out.charge(bytes.len())?;
            put(out, format_args!("\"{}\"", Base64Display::new(bytes, &STANDARD)));
            Ok(())
        }
        // As in cel-go, an optional value becomes its value.
        Value::Optional(Some(value)) => write(value, below(depth)?, out),
        _ => write_scalar(value, out),
    }
}

fn write_scalar(value: &Value<'_>, out: &mut impl JsonOutput) -> Result<()> {
    match value {
        Value::Null => put(out, format_args!("null")),
        Value::Bool(bool) => put(out, format_args!("{bool}")),
        Value::Int(number) => put(out, format_args!("{number}")),
        Value::Uint(number) => put(out, format_args!("{number}")),
        Value::Rounded(_, Some(text)) => return copy(text.as_bytes(), out),
        Value::Double(number) | Value::Rounded(number, None) => return write_double(*number, out),
        Value::Timestamp(time) => put(out, format_args!("\"{}\"", write_timestamp(*time))),
        Value::Duration(time) => put(out, format_args!("\"{}\"", write_duration(*time))),
        Value::Optional(None) => {
            return Err(EvaluationError::Invalid("optional.none() dereference"));
        }
        _ => return Err(EvaluationError::NotJson(value.type_name())),
    }
    Ok(())
}

/// The shortest notation, without an exponent for numbers of usual size, as in JavaScript and Go.
fn write_double(number: f64, out: &mut impl JsonOutput) -> Result<()> {
    if !number.is_finite() {
        return Err(EvaluationError::OutOfRange);
    }
    let magnitude = number.abs();
    if number == 0.0 || (1e-6..1e21).contains(&magnitude) {
        put(out, format_args!("{number}"));
    } else {
        put(out, format_args!("{number:e}"));
    }
    Ok(())
}

/// Writes the members of an object or the items of a list between these brackets.
fn write_all<'v, 'a: 'v>(
    brackets: &[u8; 2],
    items: impl Iterator<Item = (Option<&'v Value<'a>>, &'v Value<'a>)>,
    depth: usize,
    out: &mut impl JsonOutput,
) -> Result<()> {
    let depth = below(depth)?;
    copy(&brackets[..1], out)?;
    for (index, (key, value)) in items.enumerate() {
        if index > 0 {
            copy(b",", out)?;
        }
        if let Some(key) = key {
            let Value::Text(name) = key else {
                return Err(EvaluationError::WrongType("a name in a JSON object must be a string"));
            };
            write_text(name, out)?;
            copy(b":", out)?;
        }
        write(value, depth, out)?;
    }
    copy(&brackets[1..], out)
}

fn below(depth: usize) -> Result<usize> {
    depth.checked_sub(1).ok_or(EvaluationError::TooDeep)
}

fn write_text(text: &str, out: &mut impl JsonOutput) -> Result<()> {
    out.charge(text.len())?;
    // Cannot fail: every string serializes, and is written to memory.
    let _ = serde_json::to_writer(out, text);
    Ok(())
}

fn copy(bytes: &[u8], out: &mut impl JsonOutput) -> Result<()> {
    out.charge(bytes.len())?;
    // Writing to memory cannot fail.
    let _ = out.write_all(bytes);
    Ok(())
}

fn put(out: &mut impl JsonOutput, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}
